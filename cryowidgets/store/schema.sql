-- One project, one file. Tables of results (movie, micrograph, ctf, …) are made from the kinds in model.py.

CREATE TABLE project (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE optics (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    pixel_size REAL NOT NULL,          -- Å/px of the movie
    voltage REAL NOT NULL,             -- kV
    cs REAL NOT NULL,                  -- mm
    amplitude_contrast REAL NOT NULL,
    dose_per_frame REAL NOT NULL,      -- e/Å², 0 where unknown
    pre_exposure REAL NOT NULL,        -- e/Å²
    UNIQUE (name, pixel_size, voltage, cs, amplitude_contrast, dose_per_frame, pre_exposure)
);

-- What the microscope recorded once: the identity that all results of one movie share.
CREATE TABLE exposure (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,         -- begin of its file names in the project
    path TEXT NOT NULL UNIQUE,         -- where it was found
    acquired REAL NOT NULL,            -- UTC s
    found REAL NOT NULL,               -- UTC s
    optics INTEGER NOT NULL REFERENCES optics,
    rejected TEXT,                     -- why a person took it out; NULL while it flows
    note TEXT NOT NULL DEFAULT '',     -- what a person wrote of it
    flag INTEGER NOT NULL DEFAULT 0    -- 1 where a person marked it to be found again
);
CREATE INDEX exposure_acquired ON exposure (acquired);
CREATE INDEX exposure_rejected ON exposure (id) WHERE rejected IS NOT NULL;
CREATE INDEX exposure_marked ON exposure (id) WHERE flag <> 0 OR note <> '';

CREATE TABLE step (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    protocol TEXT NOT NULL,
    gives TEXT NOT NULL,                    -- kind of its results, so that a reader need not import the protocol
    version INTEGER NOT NULL DEFAULT 1,     -- of its parameters
    valid_from INTEGER NOT NULL DEFAULT 1,  -- results of an older version are to be made again
    state TEXT NOT NULL DEFAULT 'saved',    -- saved scheduled running finished failed stopped
    reason TEXT NOT NULL DEFAULT '',        -- in words, why it waits or failed
    fold INTEGER NOT NULL DEFAULT 0,        -- 1 or 2: its results belong to no exposure; 2: it takes the newest of such
    fresh_from INTEGER NOT NULL DEFAULT 1,  -- results of an older version are outdated, though they may be valid still
    label TEXT NOT NULL DEFAULT '',         -- for people
    comment TEXT NOT NULL DEFAULT '',       -- for people
    "after" TEXT NOT NULL DEFAULT '[]',     -- names of steps that must have ended before it begins, JSON
    hold INTEGER NOT NULL DEFAULT 0,        -- 1: nothing is begun at it until a person releases it
    halted TEXT NOT NULL DEFAULT ''         -- stopped or saved: a person has stopped or reset it; empty while it goes
);
CREATE TABLE link (
    step INTEGER NOT NULL REFERENCES step,
    input TEXT NOT NULL,
    source INTEGER NOT NULL REFERENCES step,
    PRIMARY KEY (step, input)
) WITHOUT ROWID;
CREATE TABLE params (
    step INTEGER NOT NULL REFERENCES step,
    version INTEGER NOT NULL,
    json TEXT NOT NULL,
    time REAL NOT NULL,
    PRIMARY KEY (step, version)
) WITHOUT ROWID;

-- One row for each attempt of a step on its inputs.
-- running → done | rejected (by a gate) | failed (for good) | retry (will be tried again) | lost (its worker or
-- engine died); done → superseded once a newer version has taken its place.
CREATE TABLE task (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    step INTEGER NOT NULL REFERENCES step,
    exposure INTEGER REFERENCES exposure,   -- NULL for a fold
    inputs TEXT NOT NULL,                   -- rows of the inputs: '17', '17,20'; of a fold 'first,last'
    version INTEGER NOT NULL,               -- of the parameters
    attempt INTEGER NOT NULL,
    state TEXT NOT NULL,
    error TEXT,
    traceback TEXT,
    host TEXT,
    pid INTEGER,
    submitted REAL NOT NULL,
    started REAL,
    finished REAL,
    software TEXT                           -- what did it: 'cryowidgets 0.1.0, plug-in 1.2'; NULL where not recorded
);
CREATE INDEX task_inputs ON task (step, inputs);
CREATE INDEX task_exposure ON task (exposure);
CREATE INDEX task_trouble ON task (step, state) WHERE state IN ('running', 'failed', 'rejected');

-- Files that were taken away to make room. Their results stay; what needs such a file has it made again first.
CREATE TABLE cleaned (
    path TEXT PRIMARY KEY,                  -- relative to the project; of a raw movie absolute
    step INTEGER NOT NULL REFERENCES step,  -- that made it
    exposure INTEGER NOT NULL REFERENCES exposure,
    size INTEGER NOT NULL,                  -- bytes that it had
    time REAL NOT NULL,                     -- UTC s
    why TEXT NOT NULL,
    gone INTEGER NOT NULL DEFAULT 0,        -- 1 once the file is no more
    wanted INTEGER NOT NULL DEFAULT 0       -- 1: it is to be made again
) WITHOUT ROWID;
CREATE INDEX cleaned_exposure ON cleaned (exposure, step);
CREATE INDEX cleaned_going ON cleaned (exposure) WHERE gone = 0;
CREATE INDEX cleaned_wanted ON cleaned (step, exposure) WHERE wanted = 1;

-- Which rules of a gate an item broke, with its value and what was allowed; in words in the task's error.
CREATE TABLE reason (
    task INTEGER NOT NULL REFERENCES task,
    rule TEXT NOT NULL,
    value REAL,
    allowed REAL,
    PRIMARY KEY (task, rule)
) WITHOUT ROWID;

CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL NOT NULL,
    kind TEXT NOT NULL,
    step TEXT,
    exposure INTEGER,
    text TEXT NOT NULL,
    ref TEXT UNIQUE                         -- of a command: its file, so that none is carried out twice
);

CREATE TABLE system (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL NOT NULL,
    cpu REAL, memory REAL,                  -- %
    disk_read REAL, disk_write REAL,        -- MB/s of the whole machine
    disk_free REAL,                         -- GB on the project's disk
    workers INTEGER, running INTEGER, queue INTEGER,
    gpu REAL, gpu_memory REAL,              -- %, NULL without a GPU
    swap REAL,                              -- %
    grade INTEGER NOT NULL DEFAULT 2        -- how long it is kept, see samples.py
);

-- Each disk that the session uses: the project's, that of the movies, that of the gain.
CREATE TABLE mount (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL NOT NULL,
    place TEXT NOT NULL,                    -- mount point
    device TEXT NOT NULL,
    type TEXT NOT NULL,                     -- of file system
    network INTEGER NOT NULL,               -- 1 where it lies on another host
    uses TEXT NOT NULL,                     -- what is there: 'project', 'movies', 'gain', with commas between
    total REAL, free REAL,                  -- GB; NULL while the disk does not answer
    read REAL, write REAL,                  -- MB/s of the whole machine, NULL where the system does not tell
    seen REAL,                              -- MB/s at which workers got what they read; NULL where they read nothing
    silent REAL NOT NULL DEFAULT 0,         -- s since a question that it has not answered yet
    grade INTEGER NOT NULL                  -- how long it is kept, see samples.py
);
CREATE INDEX mount_place ON mount (place, time);

-- The workers that there are, and for an hour those that there were.
CREATE TABLE worker (
    key TEXT PRIMARY KEY,                   -- its address, or the name of its thread
    name TEXT NOT NULL,
    host TEXT NOT NULL,
    state TEXT NOT NULL,                    -- working, idle, silent, lost, left
    step TEXT,                              -- what it does
    exposure INTEGER,
    begun REAL,                             -- UTC s, since when
    done INTEGER NOT NULL,                  -- tasks, failed ones as well
    first REAL NOT NULL, last REAL NOT NULL,  -- UTC s, seen
    cpu REAL, memory REAL                   -- %, of one core; MB; NULL where not known
) WITHOUT ROWID;

-- What monitors find wrong with the session; of one thing at most one is open. What was cleared stays as history.
CREATE TABLE alert (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    monitor TEXT NOT NULL,
    key TEXT NOT NULL,                      -- which quantity of the monitor
    level TEXT NOT NULL,                    -- note warning alarm
    text TEXT NOT NULL,
    value REAL,                             -- what was measured
    allowed REAL,                           -- the limit that it broke
    exposure INTEGER,                       -- the newest that shows it
    opened REAL NOT NULL,                   -- UTC s
    cleared REAL,                           -- UTC s; NULL while it is open
    cleared_text TEXT NOT NULL DEFAULT '',
    acknowledged REAL,                      -- UTC s; NULL as long as nobody said that they know
    acknowledged_by TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX alert_open ON alert (monitor, key) WHERE cleared IS NULL;
-- Who was told what: a row for each channel that took a message about an alert.
CREATE TABLE notice (
    alert INTEGER NOT NULL REFERENCES alert,
    channel TEXT NOT NULL,
    opened REAL,                            -- UTC s, when its opening was told
    cleared REAL,                           -- UTC s, when its end was told
    PRIMARY KEY (alert, channel)
) WITHOUT ROWID;

-- How many results there are that each version of a step's parameters made: what the tasks in state done say.
CREATE TABLE made (
    step INTEGER NOT NULL,
    version INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (step, version)
) WITHOUT ROWID;
CREATE TRIGGER made_added AFTER INSERT ON task WHEN new.state = 'done' BEGIN
    INSERT INTO made VALUES (new.step, new.version, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER made_more AFTER UPDATE OF state ON task WHEN new.state = 'done' AND old.state <> 'done' BEGIN
    INSERT INTO made VALUES (new.step, new.version, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER made_less AFTER UPDATE OF state ON task WHEN old.state = 'done' AND new.state <> 'done' BEGIN
    UPDATE made SET n = n - 1 WHERE step = old.step AND version = old.version;
END;

-- How many tasks are in which state, so that no page ever counts 150,000 rows.
CREATE TABLE tally (
    step INTEGER NOT NULL,
    state TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (step, state)
) WITHOUT ROWID;
CREATE TRIGGER task_added AFTER INSERT ON task BEGIN
    INSERT INTO tally VALUES (new.step, new.state, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER task_moved AFTER UPDATE OF state ON task WHEN old.state <> new.state BEGIN
    UPDATE tally SET n = n - 1 WHERE step = old.step AND state = old.state;
    INSERT INTO tally VALUES (new.step, new.state, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
