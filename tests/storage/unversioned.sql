BEGIN TRANSACTION;
CREATE TABLE callbacks (
        id TEXT PRIMARY KEY,
        number TEXT NOT NULL,
        at_s REAL NOT NULL,
        wanted TEXT NOT NULL,
        note TEXT NOT NULL,
        prospect TEXT NOT NULL,
        call_id TEXT NOT NULL,
        campaign_id TEXT NOT NULL,
        script TEXT NOT NULL,
        state TEXT NOT NULL,
        created_s REAL NOT NULL,
        changed_s REAL NOT NULL
    ) STRICT;
INSERT INTO "callbacks" VALUES('wish-1','+12125550101',1796003600.0,'2026-11-29T20:53:20-05:00','the quote','{"name": "Ann \u00d3g", "extra": {"topic": "steel"}}','w0-1','spring','','waiting',1796000000.0,1796000000.0);
CREATE TABLE campaign_attempts (
        campaign TEXT NOT NULL REFERENCES campaigns(name),
        number TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        dialled_s REAL NOT NULL,
        call_id TEXT NOT NULL DEFAULT '',
        ended_s REAL,
        outcome TEXT NOT NULL DEFAULT '',
        because TEXT NOT NULL DEFAULT '',
        talk_s REAL NOT NULL DEFAULT 0,
        cost REAL NOT NULL DEFAULT 0,
        currency TEXT NOT NULL DEFAULT '',
        variant TEXT NOT NULL DEFAULT '',
        stage TEXT NOT NULL DEFAULT '',
        converted INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (campaign, number, attempt)
    ) WITHOUT ROWID
    ;
INSERT INTO "campaign_attempts" VALUES('spring','+12125550101',1,1796000000.0,'w0-1',1796000065.0,'callback','the caller hung up',60.0,0.0,'USD','b','',0);
CREATE TABLE campaign_notes (
        campaign TEXT NOT NULL REFERENCES campaigns(name),
        number TEXT NOT NULL,
        note TEXT NOT NULL,
        PRIMARY KEY (campaign, number)
    ) WITHOUT ROWID
    ;
INSERT INTO "campaign_notes" VALUES('spring','+12125550101','the quote');
CREATE TABLE campaign_prospects (
        campaign TEXT NOT NULL REFERENCES campaigns(name),
        number TEXT NOT NULL,
        position INTEGER NOT NULL,
        zones TEXT NOT NULL,
        about TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('waiting', 'dialling', 'done')),
        rank INTEGER NOT NULL,
        due_s REAL NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        granted INTEGER NOT NULL DEFAULT 0,
        day TEXT NOT NULL DEFAULT '',
        attempts_that_day INTEGER NOT NULL DEFAULT 0,
        result TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (campaign, number)
    ) WITHOUT ROWID
    ;
INSERT INTO "campaign_prospects" VALUES('spring','+12125550101',2,'America/New_York','{"name": "Ann Óg"}','waiting',0,1796003600.0,1,1,'2026-11-29',1,'callback');
INSERT INTO "campaign_prospects" VALUES('spring','+12125550102',3,'America/New_York','{}','done',2,0.0,0,0,'',0,'refused: no_consent');
CREATE TABLE campaign_refusals (
        campaign TEXT NOT NULL REFERENCES campaigns(name),
        number TEXT NOT NULL,
        code TEXT NOT NULL,
        times INTEGER NOT NULL DEFAULT 1,
        last_s REAL NOT NULL,
        PRIMARY KEY (campaign, number, code)
    ) WITHOUT ROWID
    ;
INSERT INTO "campaign_refusals" VALUES('spring','+12125550102','no_consent',1,1796000060.0);
CREATE TABLE campaigns (
        name TEXT PRIMARY KEY,
        source TEXT NOT NULL DEFAULT '',
        timezone TEXT NOT NULL DEFAULT 'UTC',
        digest TEXT NOT NULL DEFAULT '',
        columns TEXT NOT NULL DEFAULT '[]',
        created_s REAL NOT NULL,
        wanted TEXT NOT NULL DEFAULT 'run' CHECK (wanted IN ('run', 'pause')),
        owner TEXT NOT NULL DEFAULT '',
        host TEXT NOT NULL DEFAULT '',
        pid INTEGER NOT NULL DEFAULT 0,
        lease_until_s REAL NOT NULL DEFAULT 0,
        last_dial_s REAL,
        day TEXT NOT NULL DEFAULT '',
        calls_that_day INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID
    ;
INSERT INTO "campaigns" VALUES('spring','spring.toml','America/New_York','','[]',1796000000.0,'run','','h',1,0.0,1796000000.0,'2026-11-29',1);
CREATE TABLE consents (
        consent_id INTEGER PRIMARY KEY, number TEXT NOT NULL, person TEXT NOT NULL,
        how TEXT NOT NULL, scope TEXT NOT NULL, obtained_s REAL NOT NULL, expires_s REAL,
        added_s REAL NOT NULL, revoked_s REAL,
        UNIQUE (number, person, how, scope, obtained_s)
    );
INSERT INTO "consents" VALUES(1,'+12125550101','Ann Óg','web form','any',1796000000.0,NULL,1796000000.0,NULL);
CREATE TABLE dial_attempts (
        number TEXT NOT NULL, at_s REAL NOT NULL, permit_id TEXT NOT NULL
    );
INSERT INTO "dial_attempts" VALUES('+12125550101',1796000000.0,'permit-1');
CREATE TABLE do_not_call (
        number TEXT PRIMARY KEY, added_s REAL NOT NULL, source TEXT NOT NULL, call_id TEXT NOT NULL
    ) WITHOUT ROWID;
INSERT INTO "do_not_call" VALUES('+12125550109',1796000000.0,'call','w0-1');
CREATE TABLE phone_call_keys (
        key TEXT PRIMARY KEY,
        request_hash TEXT NOT NULL,
        call_id TEXT NOT NULL,
        created_s REAL NOT NULL
    ) STRICT;
INSERT INTO "phone_call_keys" VALUES('key-1','hash','w0-1',1796000000.0);
CREATE TABLE phone_calls (
        id TEXT PRIMARY KEY,
        label TEXT NOT NULL,
        sid TEXT NOT NULL,
        created_s REAL NOT NULL,
        saved_s REAL NOT NULL,
        status TEXT NOT NULL,
        is_over INTEGER NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
INSERT INTO "phone_calls" VALUES('w0-1','w0','CA1',1796000000.0,1796000065.0,'completed',1,'{"id": "w0-1", "sid": "CA1", "direction": "outbound", "from": "+15005550006", "to": "+12125550101", "prospect": {"name": "Ann \u00d3g"}, "status": "completed", "answeredBy": "human", "createdAt": 1796000000.0, "answeredAt": 1796000005.0, "endedAt": 1796000065.0, "durationSeconds": 60.0, "outcome": "callback", "endedBecause": "the caller hung up", "cost": {"total": 0.0, "carrier": 0.0, "stt": 0.0, "llm": 0.0, "tts": 0.0, "currency": "USD", "isEstimate": true}, "turns": [{"role": "assistant", "said": "Hello", "heard": "Hello", "at": 1796000005.0, "interrupted": false}], "variant": "b", "stage": null, "facts": {"budget": "small"}, "campaignId": "spring", "script": null, "sessionId": "s-1"}');
CREATE INDEX dial_attempts_by_number ON dial_attempts (number, at_s);
CREATE INDEX phone_calls_by_time ON phone_calls (created_s, id);
CREATE INDEX phone_calls_by_sid ON phone_calls (sid);
CREATE INDEX phone_calls_live ON phone_calls (is_over) WHERE is_over = 0;
CREATE INDEX callbacks_waiting ON callbacks (at_s) WHERE state = 'waiting';
CREATE INDEX campaign_queue
        ON campaign_prospects (campaign, status, rank, due_s, position)
    ;
COMMIT;
