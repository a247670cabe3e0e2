"""The phone: calls that come through Twilio.

`desk.open_desk` opens what there is; `webhooks` answers Twilio's HTTP requests, `streams`
its media streams, and `tokens` ties the one to the other.
"""
