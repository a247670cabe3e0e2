"""The do-not-call list and the consents: single entries, and files that are taken whole."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from tests.compliance.desk import NUMBER, new_york, open_desk
from vantum.compliance.audit import AuditLog, MemoryJournal
from vantum.compliance.lists import ListError, Lists, consent_of
from vantum.errors import AuditError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "people.csv"


def write(file: Path, content: bytes | str) -> None:
    file.write_bytes(content.encode() if isinstance(content, str) else content)


def read(file: Path) -> bytes:
    return file.read_bytes()


async def test_on_and_off_the_do_not_call_list() -> None:
    async with open_desk(consent_required=False) as desk:
        assert await desk.lists.block("+1 212 555 0123", "asked by mail")
        assert not await desk.lists.block(NUMBER, "again")
        (entry,) = await desk.lists.blocked()
        assert (entry.number, entry.source) == (NUMBER, "asked by mail")
        assert (await desk.refusal()).codes == ("do_not_call",)
        await desk.lists.unblock(NUMBER, "asked to be called")
        await desk.permit()
        with pytest.raises(ListError, match="is not on the do-not-call list"):
            await desk.lists.unblock(NUMBER, "again")
        for text in ("5550123", "me"):
            with pytest.raises(ListError, match="no telephone number in international form"):
                await desk.lists.block(text, "x")
        with pytest.raises(ListError, match="has not as many digits"):
            await desk.lists.block("+1212555012", "x")
        events = [event for event, _ in desk.log]
        assert events[:2] == ["do_not_call.added"] * 2
        assert desk.log[3][1] == {"number": NUMBER, "reason": "asked to be called"}
        assert "do_not_call.removed" in events


async def test_a_file_of_numbers(file: Path) -> None:
    write(
        file,
        b"\xef\xbb\xbfPhone,Why\r\n+1 212 555 0123,asked\r\n\r\n# a comment\r\n+12125550124\r\n"
        b'"+1 (212) 555-0123",twice\r\n',
    )
    async with open_desk() as desk:
        assert await desk.lists.block_file(file) == (3, 2)
        assert {each.number for each in await desk.lists.blocked()} == {NUMBER, "+12125550124"}
        assert await desk.lists.block_file(file) == (3, 0)
        assert desk.log[0] == (
            "do_not_call.imported",
            {
                "file": "people.csv",
                "sha256": sha256(read(file)).hexdigest(),
                "count": 3,
                "added": 2,
            },
        )


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"+12125550123\n5550123\n", "line 2: '5550123' is no telephone number"),
        (b"+12125550123\n\n\nnumber\n", "line 4: 'number' is no telephone number"),
        (b"\xff\n", "is not UTF-8 text"),
        (b'+12125550123,"' + b"x" * 200_000, "is not CSV: field larger"),
        (None, "cannot be read: No such file or directory"),
        (b"+12125550123\n+1 212 555 0124 Smith\n", "line 2: '.*Smith' is no telephone number"),
        (b"+1212555O123\n", "line 1: '.*' is no telephone number"),
        (b"+1212555012\n", "line 1: '.*' has not as many digits as numbers of its country"),
        (b"+12125550123.0\n", "line 1: '.*' has not as many digits as numbers of its country"),
        (b"", "has no numbers: nothing was put on the list"),
        (b"number\n", "has no numbers: nothing was put on the list"),
        (b"\xef\xbb\xbf\r\n  \n# none today\n,,\n", "has no numbers: nothing was put on the list"),
    ],
)
async def test_a_file_of_numbers_is_taken_whole_or_not_at_all(
    file: Path, content: bytes | None, complaint: str
) -> None:
    if content is not None:
        write(file, content)
    async with open_desk() as desk:
        with pytest.raises(ListError, match=complaint) as caught:
            await desk.lists.block_file(file)
        assert str(caught.value).startswith(str(file))
        assert await desk.lists.blocked() == []
        assert desk.log == []


async def test_consents_given_and_revoked() -> None:
    async with open_desk() as desk:
        await desk.consent(obtained="2026-06-30T12:00-04:00", expires="2026-07-02")
        (record,) = await desk.lists.consents("+1 212 555 0123")
        assert record.obtained_s == new_york("2026-06-30 12:00")
        assert record.expires_s == new_york("2026-07-01 20:00")  # midnight of UTC
        assert (record.person, record.how, record.scope) == ("Ada", "form", "any")
        await desk.permit()
        assert await desk.lists.revoke(NUMBER, "asked") == 1
        assert (await desk.refusal()).codes == ("no_consent",)
        with pytest.raises(ListError, match="there is no consent"):
            await desk.lists.revoke(NUMBER, "asked")
        # The same again is the one that was revoked.
        assert not await desk.lists.consent(record)
        assert (await desk.refusal()).codes == ("no_consent",)
        assert (await desk.lists.consents())[0].revoked_s == desk.now_s
        assert desk.log[0][1]["was_new"]
        assert desk.log[2] == (
            "consent.revoked",
            {"number": NUMBER, "reason": "asked", "count": 1},
        )


async def test_a_file_of_consents(file: Path) -> None:
    write(
        file,
        "Number, person, how, obtained, scope, expires\n"
        "+12125550123, Ada  Lovelace, web form, 2026-05-03, spring,\n"
        '+12125550124, "Byron, George", letter, 2026-05-03T10:00Z, , 2027-01-01\n'
        "+12125550125, Mary, phone, 2026-05-03\n",
    )
    async with open_desk() as desk:
        assert await desk.lists.consent_file(file) == (3, 3)
        assert await desk.lists.consent_file(file) == (3, 0)
        first, second, third = await desk.lists.consents()
        assert (first.person, first.scope, first.expires_s) == ("Ada Lovelace", "spring", None)
        assert (second.person, second.scope) == ("Byron, George", "any")
        assert third.scope == "any"
        await desk.permit(campaign_id="spring")
        assert (await desk.refusal()).codes == ("no_consent",)
        assert desk.log[0][0] == "consent.imported"


HEAD = "number,person,how,obtained,scope,expires\n"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("+12125550123,Ada,form,2026-05-03\n", "the head line has no number"),
        ("number,person,how\n", "the head line has no obtained"),
        ("number,person,how,obtained,colour\n", "there is no column 'colour'"),
        (HEAD + "212,Ada,form,2026-05-03,,\n", "line 2: '212' is no telephone number"),
        (HEAD + "+12125550123,,form,2026-05-03,,\n", "line 2: person must say something"),
        (HEAD + "+12125550123,Ada,,2026-05-03,,\n", "line 2: how must say something"),
        (HEAD + "+12125550123,Ada,form,,,\n", "line 2: obtained '' is no date"),
        (HEAD + "+12125550123,Ada,form,3 May,,\n", "line 2: obtained '3 May' is no date"),
        (HEAD + "+12125550123,Ada,form,2026-05-03,,2026-05-03\n", "must be later than obtained"),
        (HEAD + "+12125550123,Ada,form,2026-05-03,,x\n", "line 2: expires 'x' is no date"),
        (HEAD + "+12125550123,Ada,form,2026-05-03,,,x\n", "line 2: has more columns"),
        (
            HEAD + "+12125550123,Ada,form,2062-05-03,,\n",
            "line 2: obtained .2062-05-03. lies ahead: a consent begins when it is given",
        ),
        ("", "the head line has no number"),
        (HEAD, "has no consents: nothing was recorded"),
    ],
)
async def test_a_file_of_consents_is_taken_whole_or_not_at_all(
    file: Path, content: str, complaint: str
) -> None:
    write(file, content)
    async with open_desk() as desk:
        with pytest.raises(ListError, match=complaint):
            await desk.lists.consent_file(file)
        assert await desk.lists.consents() == []


async def test_what_is_on_the_list_can_be_taken_off_it(file: Path) -> None:
    async with open_desk() as desk:
        impossible = "+1212555012"  # out of a list that was taken before they were asked for
        await desk.compliance.opt_out(impossible, source="said so")
        assert [each.number for each in await desk.lists.blocked()] == [impossible]
        await desk.lists.unblock(impossible, "a mistake")
        assert await desk.lists.blocked() == []


async def test_a_consent_cannot_be_given_tomorrow() -> None:
    async with open_desk() as desk:
        desk.now_s = new_york("2026-07-01 12:00")
        # In Kiritimati the day begins fourteen hours before UTC's.
        await desk.consent(obtained="2026-07-02", expires="2026-08-01")
        assert (await desk.refusal()).codes == ("consent_expired",)
        for obtained in ("2026-07-03", "2026-07-02T06:01+00:00"):
            with pytest.raises(ListError, match="lies ahead"):
                await desk.consent(obtained=obtained)
        assert len(await desk.lists.consents()) == 1


class _FullDisk(MemoryJournal):
    def append(self, event: object, data: object, at_s: float) -> None:
        raise AuditError("No space left on device")


async def test_without_a_record_nothing_is_allowed_and_everything_forbidden(file: Path) -> None:
    async with open_desk() as desk:
        await desk.lists.block(NUMBER, "asked")
        unrecorded = Lists(desk.database, AuditLog(_FullDisk()), lambda: desk.now_s)
        record = consent_of(
            number=NUMBER, person="Ada", how="form", obtained="2026-01-01", scope="", expires=""
        )
        write(file, HEAD + "+12125550123,Ada,form,2026-05-03\n")
        with pytest.raises(AuditError):
            await unrecorded.unblock(NUMBER, "x")
        with pytest.raises(AuditError):
            await unrecorded.consent(record)
        with pytest.raises(AuditError):
            await unrecorded.consent_file(file)
        with pytest.raises(AuditError):
            await unrecorded.block("+12125550124", "x")
        assert [each.number for each in await desk.lists.blocked()] == [NUMBER, "+12125550124"]
        assert await desk.lists.consents() == []
