BEGIN TRANSACTION;
CREATE TABLE "ctf" (id INTEGER PRIMARY KEY AUTOINCREMENT, step INTEGER NOT NULL REFERENCES step, exposure INTEGER REFERENCES exposure, task INTEGER NOT NULL REFERENCES task, version INTEGER NOT NULL, time REAL NOT NULL, "micrograph" TEXT, "spectrum" TEXT, "picture" TEXT, "curve" TEXT, "defocus_u" REAL, "defocus_v" REAL, "astigmatism" REAL, "angle" REAL, "phase_shift" REAL, "defocus_error" REAL, "fit_resolution" REAL, "score" REAL, "ice" REAL, "reason" TEXT, UNIQUE (exposure, step));
INSERT INTO "ctf" VALUES(1,4,2,8,1,1.79533993818411493305e+09,'steps/align/m2.mrc','steps/ctf/m2_ctf.mrc','steps/ctf/m2_ctf.jpg','steps/ctf/m2_ctf.npy',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,4.72668579238525565777e-01,'No rings stand out of the noise: the best defocus reaches 3.2 standard deviations, 6 are needed.');
INSERT INTO "ctf" VALUES(2,4,1,9,1,1.79533993851569271087e+09,'steps/align/m1.mrc','steps/ctf/m1_ctf.mrc','steps/ctf/m1_ctf.jpg','steps/ctf/m1_ctf.npy',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,4.32924132276037432198e-01,'No rings stand out of the noise: the best defocus reaches 3.2 standard deviations, 6 are needed.');
CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL NOT NULL,
    kind TEXT NOT NULL,
    step TEXT,
    exposure INTEGER,
    text TEXT NOT NULL,
    ref TEXT UNIQUE                         -- of a command: its file, so that none is carried out twice
);
INSERT INTO "event" VALUES(1,1.79533993708965873723e+09,'engine',NULL,NULL,'the engine started (cryowidgets 0.1.0)',NULL);
INSERT INTO "event" VALUES(2,1.7953399370916626453e+09,'step','movies',NULL,'movies is running',NULL);
INSERT INTO "event" VALUES(3,1.79533993709213137626e+09,'step','align',NULL,'align is scheduled: waits for movies',NULL);
INSERT INTO "event" VALUES(4,1.79533993709248542781e+09,'step','maxshift',NULL,'maxshift is scheduled: waits for align',NULL);
INSERT INTO "event" VALUES(5,1.79533993709270572663e+09,'step','ctf',NULL,'ctf is scheduled: waits for maxshift',NULL);
INSERT INTO "event" VALUES(6,1.79533993720360636708e+09,'exposure','movies',1,'/raw/m1.mrc arrived',NULL);
INSERT INTO "event" VALUES(7,1.79533993720392203328e+09,'exposure','movies',2,'/raw/m2.mrc arrived',NULL);
INSERT INTO "event" VALUES(8,1.79533993720438122751e+09,'task.failed','movies',3,'/raw/m3.mrc is truncated: an MRC header takes 1024 bytes and the file has 8.',NULL);
INSERT INTO "event" VALUES(9,1.79533993720570683476e+09,'step','align',NULL,'align is running',NULL);
INSERT INTO "event" VALUES(10,1.79533993742747187611e+09,'task.done','align',2,'',NULL);
INSERT INTO "event" VALUES(11,1795339937.42941,'step','maxshift',NULL,'maxshift is running',NULL);
INSERT INTO "event" VALUES(12,1.79533993771638727184e+09,'task.done','align',1,'',NULL);
INSERT INTO "event" VALUES(13,1.79533993771881628031e+09,'task.done','maxshift',2,'',NULL);
INSERT INTO "event" VALUES(14,1.79533993772325325011e+09,'task.done','maxshift',1,'',NULL);
INSERT INTO "event" VALUES(15,1.79533993772534584999e+09,'step','ctf',NULL,'ctf is running',NULL);
INSERT INTO "event" VALUES(16,1.79533993818376803397e+09,'task.done','ctf',2,'',NULL);
INSERT INTO "event" VALUES(17,1.79533993851544976241e+09,'task.done','ctf',1,'',NULL);
INSERT INTO "event" VALUES(18,1.79533994024776649475e+09,'stream',NULL,NULL,'the stream closed: no new movie for 3 s',NULL);
INSERT INTO "event" VALUES(19,1.79533994024800825119e+09,'step','movies',NULL,'movies is finished',NULL);
INSERT INTO "event" VALUES(20,1.79533994024831867215e+09,'step','align',NULL,'align is finished',NULL);
INSERT INTO "event" VALUES(21,1.79533994024857807155e+09,'step','maxshift',NULL,'maxshift is finished',NULL);
INSERT INTO "event" VALUES(22,1.79533994024879217142e+09,'step','ctf',NULL,'ctf is finished',NULL);
INSERT INTO "event" VALUES(23,1.79533994024923300742e+09,'engine',NULL,NULL,'the engine ended',NULL);
CREATE TABLE exposure (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,         -- begin of its file names in the project
    path TEXT NOT NULL UNIQUE,         -- where it was found
    acquired REAL NOT NULL,            -- UTC s
    found REAL NOT NULL,               -- UTC s
    optics INTEGER NOT NULL REFERENCES optics,
    rejected TEXT,                     -- why a person took it out; NULL while it flows
    note TEXT NOT NULL DEFAULT ''
);
INSERT INTO "exposure" VALUES(1,'m1','/raw/m1.mrc',1.79533633627487397197e+09,1.79533993709108805657e+09,1,NULL,'');
INSERT INTO "exposure" VALUES(2,'m2','/raw/m2.mrc',1.79533633642576456075e+09,1.79533993709108805657e+09,1,NULL,'');
INSERT INTO "exposure" VALUES(3,'m3','/raw/m3.mrc',1.79533993709108805657e+09,1.79533993709108805657e+09,1,NULL,'');
CREATE TABLE link (
    step INTEGER NOT NULL REFERENCES step,
    input TEXT NOT NULL,
    source INTEGER NOT NULL REFERENCES step,
    PRIMARY KEY (step, input)
) WITHOUT ROWID;
INSERT INTO "link" VALUES(2,'movie',1);
INSERT INTO "link" VALUES(3,'micrograph',2);
INSERT INTO "link" VALUES(4,'micrograph',3);
CREATE TABLE "micrograph" (id INTEGER PRIMARY KEY AUTOINCREMENT, step INTEGER NOT NULL REFERENCES step, exposure INTEGER REFERENCES exposure, task INTEGER NOT NULL REFERENCES task, version INTEGER NOT NULL, time REAL NOT NULL, "path" TEXT, "dose_weighted" TEXT, "thumbnail" TEXT, "metadata" TEXT, "pixel_size" REAL, "height" INTEGER, "width" INTEGER, "frames" INTEGER, "motion_total" REAL, "motion_early" REAL, "motion_late" REAL, "motion_worst" REAL, "shift_error" REAL, "counts" REAL, "defects" INTEGER, "reason" TEXT, "shifts" BLOB, UNIQUE (exposure, step));
INSERT INTO "micrograph" VALUES(1,2,2,4,1,1.79533993742795634275e+09,'steps/align/m2.mrc','steps/align/m2_DW.mrc','steps/align/m2_thumbnail.jpg','steps/align/m2.star',1.2,256,256,8,NULL,NULL,NULL,NULL,NULL,1.812107086181640625e+00,0,'The frames agree with each other by 5.4 standard deviations and 6 are needed to tell their motion: the field may be empty, blank, or of one material.',NULL);
INSERT INTO "micrograph" VALUES(2,2,1,5,1,1.79533993771663045882e+09,'steps/align/m1.mrc','steps/align/m1_DW.mrc','steps/align/m1_thumbnail.jpg','steps/align/m1.star',1.2,256,256,8,7.35125271981026351397e+00,1.29708293550756792456e+00,6.05416978430269558941e+00,1.61931228981626329499e+00,2.93251363009172039131e-01,1.80809783935546875e+00,0,'',X'934E554D5059010076007B276465736372273A20273C6634272C2027666F727472616E5F6F72646572273A2046616C73652C20277368617065273A2028382C2032292C207D202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020200A000000000000000084DB87BFEA60513EEA0D1AC03FD9D53D624446C00BB925BD0E8F31C0C589593FDE1468C079276D3F4CAB83C00B51AC3FB2197DC09EC5EE3F');
INSERT INTO "micrograph" VALUES(3,3,2,6,1,1.79533993771892523769e+09,'steps/align/m2.mrc','steps/align/m2_DW.mrc','steps/align/m2_thumbnail.jpg','steps/align/m2.star',1.2,256,256,8,NULL,NULL,NULL,NULL,NULL,1.812107086181640625e+00,0,'The frames agree with each other by 5.4 standard deviations and 6 are needed to tell their motion: the field may be empty, blank, or of one material.',NULL);
INSERT INTO "micrograph" VALUES(4,3,1,7,1,1.79533993772348737716e+09,'steps/align/m1.mrc','steps/align/m1_DW.mrc','steps/align/m1_thumbnail.jpg','steps/align/m1.star',1.2,256,256,8,7.35125271981026351397e+00,1.29708293550756792456e+00,6.05416978430269558941e+00,1.61931228981626329499e+00,2.93251363009172039131e-01,1.80809783935546875e+00,0,'',X'934E554D5059010076007B276465736372273A20273C6634272C2027666F727472616E5F6F72646572273A2046616C73652C20277368617065273A2028382C2032292C207D202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020200A000000000000000084DB87BFEA60513EEA0D1AC03FD9D53D624446C00BB925BD0E8F31C0C589593FDE1468C079276D3F4CAB83C00B51AC3FB2197DC09EC5EE3F');
CREATE TABLE "movie" (id INTEGER PRIMARY KEY AUTOINCREMENT, step INTEGER NOT NULL REFERENCES step, exposure INTEGER REFERENCES exposure, task INTEGER NOT NULL REFERENCES task, version INTEGER NOT NULL, time REAL NOT NULL, "path" TEXT, "size" INTEGER, "frames" INTEGER, "gain" TEXT, "closed" REAL, "found" REAL, UNIQUE (exposure, step));
INSERT INTO "movie" VALUES(1,1,1,1,1,1.79533993720350313182e+09,'/raw/m1.mrc',525312,8,'',1.79533633627487397197e+09,1.79533993709108805657e+09);
INSERT INTO "movie" VALUES(2,1,2,2,1,1795339937.20389,'/raw/m2.mrc',525312,8,'',1.79533633642576456075e+09,1.79533993709108805657e+09);
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
INSERT INTO "optics" VALUES(1,'opticsGroup1',1.2,300.0,2.7,0.1,1.5,0.0);
CREATE TABLE params (
    step INTEGER NOT NULL REFERENCES step,
    version INTEGER NOT NULL,
    json TEXT NOT NULL,
    time REAL NOT NULL,
    PRIMARY KEY (step, version)
) WITHOUT ROWID;
INSERT INTO "params" VALUES(1,1,'{"pattern": "/raw/*.mrc", "pixel_size": 1.2, "voltage": 300.0, "cs": 2.7, "amplitude_contrast": 0.1, "dose_per_frame": 1.5, "pre_exposure": 0.0, "optics_group": "opticsGroup1", "gain": "", "frames": 0, "file_timeout": 30.0, "timeout": 2.0, "poll": 0.05, "copy": false}',1.79533993701392579084e+09);
INSERT INTO "params" VALUES(2,1,'{"first_frame": 1, "last_frame": 0, "repair_defects": true, "resolution": 5.0, "max_shift": 100.0, "dose_weighting": true, "binning": 1.0, "output_type": "float32", "memory": 2.0}',1.79533993701554608346e+09);
INSERT INTO "params" VALUES(3,1,'{"mode": "or", "max_frame_shift": 10.0, "max_movie_shift": 45.0}',1.79533993701590347293e+09);
INSERT INTO "params" VALUES(4,1,'{"defocus_min": 3000.0, "defocus_max": 50000.0, "astigmatism_max": 3000.0, "search_phase": false, "phase_shift": 0.0, "phase_min": 0.0, "phase_max": 180.0, "box": 256, "resolution_min": 30.0, "resolution_max": 4.0}',1.79533993701710319523e+09);
CREATE TABLE project (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "project" VALUES('created','1795339937.0057802');
INSERT INTO "project" VALUES('name','grid 1');
INSERT INTO "project" VALUES('paused','0');
INSERT INTO "project" VALUES('stream','closed');
CREATE TABLE step (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    protocol TEXT NOT NULL,
    gives TEXT NOT NULL,                    -- kind of its results, so that a reader need not import the protocol
    version INTEGER NOT NULL DEFAULT 1,     -- of its parameters
    valid_from INTEGER NOT NULL DEFAULT 1,  -- results of an older version are to be made again
    state TEXT NOT NULL DEFAULT 'saved',    -- saved scheduled running finished failed stopped
    reason TEXT NOT NULL DEFAULT ''         -- in words, why it waits or failed
);
INSERT INTO "step" VALUES(1,'movies','ImportMovies','Movie',1,1,'finished','');
INSERT INTO "step" VALUES(2,'align','AlignMovie','Micrograph',1,1,'finished','');
INSERT INTO "step" VALUES(3,'maxshift','MaxShift','Micrograph',1,1,'finished','');
INSERT INTO "step" VALUES(4,'ctf','EstimateCtf','Ctf',1,1,'finished','');
CREATE TABLE system (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL NOT NULL,
    cpu REAL, memory REAL,                  -- %
    disk_read REAL, disk_write REAL,        -- MB/s of the whole machine
    disk_free REAL,                         -- GB on the project's disk
    workers INTEGER, running INTEGER, queue INTEGER,
    gpu REAL, gpu_memory REAL               -- %, NULL without a GPU
);
CREATE TABLE tally (
    step INTEGER NOT NULL,
    state TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (step, state)
) WITHOUT ROWID;
INSERT INTO "tally" VALUES(1,'done',2);
INSERT INTO "tally" VALUES(1,'failed',1);
INSERT INTO "tally" VALUES(2,'done',2);
INSERT INTO "tally" VALUES(2,'running',0);
INSERT INTO "tally" VALUES(3,'done',2);
INSERT INTO "tally" VALUES(3,'running',0);
INSERT INTO "tally" VALUES(4,'done',2);
INSERT INTO "tally" VALUES(4,'running',0);
CREATE TABLE task (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    step INTEGER NOT NULL REFERENCES step,
    exposure INTEGER REFERENCES exposure,   -- NULL for a fold
    inputs TEXT NOT NULL,                   -- rows of the inputs: '17', '17,20'; of a fold 'first-last'
    version INTEGER NOT NULL,               -- of the parameters
    attempt INTEGER NOT NULL,
    state TEXT NOT NULL,
    error TEXT,
    traceback TEXT,
    host TEXT,
    pid INTEGER,
    submitted REAL NOT NULL,
    started REAL,
    finished REAL
);
INSERT INTO "task" VALUES(1,1,1,'',1,1,'done',NULL,NULL,NULL,NULL,1.79533993719817948344e+09,1.79533993719817948344e+09,1.79533993719817948344e+09);
INSERT INTO "task" VALUES(2,1,2,'',1,1,'done',NULL,NULL,NULL,NULL,1.79533993720380663874e+09,1.79533993720380663874e+09,1.79533993720380663874e+09);
INSERT INTO "task" VALUES(3,1,3,'',1,1,'failed','/raw/m3.mrc is truncated: an MRC header takes 1024 bytes and the file has 8.',NULL,NULL,NULL,1.79533993720431971552e+09,1.79533993720431971552e+09,1.79533993720431971552e+09);
INSERT INTO "task" VALUES(4,2,2,'2',1,1,'done',NULL,NULL,'node1',26892,1.79533993720487856861e+09,1.79533993720615243916e+09,1.79533993742739439013e+09);
INSERT INTO "task" VALUES(5,2,1,'1',1,1,'done',NULL,NULL,'node1',26892,1.79533993720487856861e+09,1.7953399374297468662e+09,1.79533993771634364129e+09);
INSERT INTO "task" VALUES(6,3,2,'1',1,1,'done',NULL,NULL,'node1',26892,1.79533993742879271508e+09,1.79533993771822047232e+09,1.79533993771864295004e+09);
INSERT INTO "task" VALUES(7,3,1,'2',1,1,'done',NULL,NULL,'node1',26892,1.79533993771736741064e+09,1.79533993771865701678e+09,1.79533993771880149843e+09);
INSERT INTO "task" VALUES(8,4,2,'3',1,1,'done',NULL,NULL,'node1',26892,1.79533993772422194486e+09,1.79533993772549343116e+09,1.79533993818339538579e+09);
INSERT INTO "task" VALUES(9,4,1,'4',1,1,'done',NULL,NULL,'node1',26892,1.79533993772422194486e+09,1.79533993818494200713e+09,1.79533993851537704462e+09);
CREATE INDEX exposure_acquired ON exposure (acquired);
CREATE INDEX exposure_rejected ON exposure (id) WHERE rejected IS NOT NULL;
CREATE INDEX task_inputs ON task (step, inputs);
CREATE INDEX task_exposure ON task (exposure);
CREATE INDEX task_trouble ON task (step, state) WHERE state IN ('running', 'failed', 'rejected');
CREATE TRIGGER task_added AFTER INSERT ON task BEGIN
    INSERT INTO tally VALUES (new.step, new.state, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER task_moved AFTER UPDATE OF state ON task WHEN old.state <> new.state BEGIN
    UPDATE tally SET n = n - 1 WHERE step = old.step AND state = old.state;
    INSERT INTO tally VALUES (new.step, new.state, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE INDEX movie_step ON "movie" (step, id);
CREATE INDEX micrograph_step ON "micrograph" (step, id);
CREATE INDEX ctf_step ON "ctf" (step, id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('event',23);
INSERT INTO "sqlite_sequence" VALUES('system',2);
INSERT INTO "sqlite_sequence" VALUES('exposure',3);
INSERT INTO "sqlite_sequence" VALUES('task',9);
INSERT INTO "sqlite_sequence" VALUES('movie',2);
INSERT INTO "sqlite_sequence" VALUES('micrograph',4);
INSERT INTO "sqlite_sequence" VALUES('ctf',2);
COMMIT;
PRAGMA user_version = 1;
