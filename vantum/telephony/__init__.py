"""The phone: calls that come through Twilio.

`phone.open_phone` says whether there is one; `webhooks` answers Twilio's HTTP requests, `streams`
its media streams, and `tokens` ties the one to the other.
"""
