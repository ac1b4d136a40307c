"""Which protocol of Scipion is which of ours, parameter by parameter.

Of several counterparts of a class the first one is taken whose protocol is installed and whose program is there. Names
and defaults are those of the plug-ins as of 2025, and of older versions where files of those are around.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cryowidgets.workflow.scipion_flow import FLOW
from cryowidgets.workflow.scipion_imports import IMPORT
from cryowidgets.workflow.scipion_programs import PROGRAMS
from cryowidgets.workflow.scipion_rules import (
    AT_IMPORT,
    Counterpart,
    Rule,
    choice,
    defocus,
    file,
    frames,
    limit,
    number,
    patches,
    phases,
    resolution,
    same,
    truth,
    turned,
    whole,
)

SILENT = frozenset(
    """
    runName runMode hostName numberOfThreads numberOfMpi gpuList useGpu GPUIDs gpuMsg gpusToUse binThreads
    acquisitionWizard streamingWarning streamingSleepOnWait streamingBatchSize _useQueue _queueParams recalculate
    continueRun sqliteFile scipionSettings EERtext advLabel notePreprocess doComputePSD doComputeMicThumbnail
    memory hasAlias isClassify is2D fillRandomSubset doSaveUnweightedMic saveNonDW doSaveAveMic savePSsum dosePSsum
    """.split()
)
"""Parameters of theirs that say where and how something is computed, or are texts of the form: not worth a word."""

_CROPPED = {"cropOffsetX": 0, "cropOffsetY": 0, "cropDimX": 0, "cropDimY": 0}
_SUMMED = {"useAlignToSum": True, "sumFrame0": 1, "sumFrameN": 0, "doSaveMovie": False}
_MOVIE = {"movie": ("inputMovies",)}
_BINNING = same("binFactor", "binning", 1.0)
_DEFECTS = (file("defectFile", "import.defects"), file("defectMap", "import.defects"))
_EER = (same("eerGroup", "eer_group", None, whole), choice("eerSampling", "eer_upsampling", (1, 2), 0))

_MOTIONCOR = Counterpart(
    ("ProtMotionCorr", "ProtMotionCorrTasks", "ProtMotionCorr2"),
    "AlignMovie",
    _MOVIE,
    (
        frames(),
        _BINNING,
        same("doApplyDoseFilter", "dose_weighting", True),
        patches("patchX", "patchY", 5),
        same("splitEvenOdd", "halves", False),
        *_EER,
        turned(),
        *_DEFECTS,
    ),
    idle={
        **_CROPPED,
        **_SUMMED,
        "patchOverlap": 0,
        "group": 1,
        "groupLocal": 4,
        "tol": 0.2,
        "extraParams": "",
        "extraParams2": "",
        "doMagCor": False,
        "useEst": True,
        "scaleMaj": 1.0,
        "scaleMin": 1.0,
        "angDist": 0.0,
        "useMotioncor2": True,
        "computeAllFramesAvg": False,
    },
    word="AlignMovie does what MotionCor does, by its own method",
)

_FLEXALIGN = Counterpart(
    ("XmippProtFlexAlign", "XmippProtMovieCorr"),
    "AlignMovie",
    _MOVIE,
    (
        frames(),
        _BINNING,
        Rule(
            {"doLocalAlignment": True, "autoPatches": True, "patchesX": 7, "patchesY": 7},
            ("local", "patches"),
            lambda values, about: (
                {"local": "none"}
                if not truth(values["doLocalAlignment"])
                else {"local": "field"}
                if truth(values["autoPatches"])
                else {"local": "field", "patches": max(whole(values["patchesX"]), whole(values["patchesY"]))}
            ),
            lambda values, about: {
                "doLocalAlignment": values["local"] != "none",
                "autoPatches": not values["patches"],
                **({"patchesX": values["patches"], "patchesY": values["patches"]} if values["patches"] else {}),
            },
        ),
        turned(),
    ),
    idle={
        **_SUMMED,
        "nFrames": 40,
        "autoControlPoints": True,
        "controlPointX": 6,
        "controlPointY": 6,
        "controlPointT": 5,
        "minLocalRes": 500,
        "groupNFrames": 3,
        "maxResForCorrelation": 30,
        "maxShift": 50,
    },
    word="AlignMovie does what FlexAlign does, by its own method",
)

_RELION_MOTION = Counterpart(
    ("ProtRelionMotioncor",),
    "AlignMovie",
    _MOVIE,
    (
        frames("sumFrame0", "sumFrameN"),
        _BINNING,
        same("doDW", "dose_weighting", True),
        patches("patchX", "patchY", 1),
        same("eerGroup", "eer_group", None, whole),
        choice("saveFloat16", "output_type", ("float32", "float16"), 1),
        turned(),
        file("defectFile", "import.defects"),
    ),
    idle={
        "bfactor": 150,
        "groupFrames": 1,
        "extraParams": "",
    },
    word="AlignMovie does what RELION's motion correction does, by its own method",
)

_OLD_MOTION = Counterpart(
    ("ProtMovieAlignment", "ProtUnblur", "CistemProtUnblur", "XmippProtOFAlignment"),
    "AlignMovie",
    _MOVIE,
    (frames(), _BINNING),
    idle={
        **_CROPPED,
        **_SUMMED,
        "sumFrame0": 0,
        "cleanMovieData": True,
        "alignMethod": 0,
        "doGPU": False,
        "GPUCore": 0,
        "winSize": 150,
        "extraParams": "",
    },
    word="AlignMovie does the same, by its own method",
)

_GAIN = Counterpart(
    ("XmippProtMovieGain",),
    "EstimateGain",
    _MOVIE,
    (same("movieStep", "stride", 250),),
    idle={
        "frameStep": 5,
        "estimateGain": True,
        "estimateOrientation": True,
        "estimateResidualGain": True,
        "normalizeGain": True,
        "estimateSigma": False,
        "useExistingGainImage": True,
    },
    word="The import finds the orientation of the gain, and what follows takes the movies from there",
)

_MAX_SHIFT = Counterpart(
    ("XmippProtMovieMaxShift",),
    "MaxShift",
    {"micrograph": ("inputMovies",)},
    (
        choice("rejType", "mode", ("frame", "movie", "and", "or"), 3),
        same("maxFrameShift", "max_frame_shift", 10.0),
        same("maxMovieShift", "max_movie_shift", 45.0),
    ),
)

_MICROGRAPH = {"micrograph": ("inputMicrographs",)}


def _of_frames() -> Rule:
    """Whether the spectrum is that of the frames."""
    return Rule(
        {"inputType": 1},
        ("source",),
        lambda values, about: {"source": "frames"} if whole(values["inputType"]) == 0 else {},
        lambda values, about: {"inputType": 0 if values["source"] == "frames" else 1},
    )


_CTFFIND = Counterpart(
    ("CistemProtCTFFind", "ProtCTFFind", "GrigorieffLabProtCTFFind"),
    "EstimateCtf",
    {"micrograph": ("inputMicrographs", "inputMovies")},
    (
        same("windowSize", "box", 512),
        resolution("lowRes", "highRes", (30.0, 5.0), digital=False),
        defocus("minDefocus", "maxDefocus", (5000.0, 50000.0), micrometres=False),
        phases("findPhaseShift", "minPhaseShift", "maxPhaseShift"),
        _of_frames(),
    ),
    idle={
        "avgFrames": 3,
        "stepDefocus": 100.0,
        "slowSearch": False,
        "fixAstig": False,
        "astigmatism": 500.0,
        "stepPhaseShift": 10.0,
        "ctfDownFactor": 1.0,
        "AutoDownsampling": False,
        "useCtffind4": True,
        "useCftfind4": True,
    },
    word="EstimateCtf fits the same model, by its own method",
)

_GCTF = Counterpart(
    ("ProtGctf",),
    "EstimateCtf",
    _MICROGRAPH,
    (
        same("windowSize", "box", 1024),
        resolution("lowRes", "highRes", (50.0, 4.0), digital=False),
        defocus("minDefocus", "maxDefocus", (5000.0, 90000.0), micrometres=False),
        phases("doPhShEst", "phaseShiftL", "phaseShiftH"),
    ),
    idle={
        "ctfDownFactor": 1.0,
        "stepDefocus": 500.0,
        "astigmatism": 1000.0,
        "plotResRing": True,
        "doEPA": True,
        "EPAsmp": 4,
        "doBasicRotave": False,
        "overlap": 0.5,
        "convsize": 85,
        "smoothResL": 1000,
        "bfactor": 150,
        "doHighRes": False,
        "HighResL": 15.0,
        "HighResH": 4.0,
        "HighResBf": 50,
        "doValidate": False,
        "phaseShiftS": 10.0,
        "phaseShiftT": 0,
        "coSearchRefine": False,
        "refine2DT": 1,
    },
    word="EstimateCtf fits the same model, by its own method",
)

_XMIPP_CTF = Counterpart(
    ("XmippProtCTFMicrographs",),
    "EstimateCtf",
    _MICROGRAPH,
    (
        same("windowSize", "box", 512),
        resolution("lowRes", "highRes", (0.05, 0.35), digital=True),
        defocus("minDefocus", "maxDefocus", (0.25, 4.0), micrometres=True),
        phases("findPhaseShift", "minPhaseShift", "maxPhaseShift"),
    ),
    idle={
        "AutoDownsampling": False,
        "ctfDownFactor": 1.0,
        "doInitialCTF": False,
        "ctfRelations": None,
        "doCTFAutoDownsampling": True,
        "doFastDefocus": True,
        "doAutomaticRejection": False,
        "accel1D": True,
        "refineAmplitudeContrast": False,
    },
    word="EstimateCtf fits the same model, by its own method",
)

_ANY_DEFOCUS = 500000.0  # Å; what stands for no limit at all


def _defocus_limits() -> Rule:
    """The range of defocus with its switch."""

    def read(values: Mapping[str, Any], about: Any) -> dict[str, Any]:
        if not truth(values["useDefocus"]):
            return {"defocus_min": 0.0, "defocus_max": 0.0}
        most = number(values["maxDefocus"])
        return {"defocus_min": number(values["minDefocus"]), "defocus_max": most if most < _ANY_DEFOCUS else 0.0}

    def write(values: Mapping[str, Any], about: Any) -> dict[str, Any]:
        low, high = values["defocus_min"], values["defocus_max"]
        if not (low or high):
            return {"useDefocus": False}
        return {"useDefocus": True, "minDefocus": low, "maxDefocus": high or _ANY_DEFOCUS}

    theirs = {"useDefocus": True, "minDefocus": 4000.0, "maxDefocus": 40000.0}
    return Rule(theirs, ("defocus_min", "defocus_max"), read, write)


_RANGES = (
    _defocus_limits(),
    limit("useAstigmatism", "astigmatism", "astigmatism_max", (False, 1000.0), 0.0),
    limit("useAstigmatismPercentage", "astigmatismPer", "astigmatism_percent", (True, 0.1), 0.0, 100.0),
    limit("useResolution", "resolution", "resolution_max", (True, 17.0), 0.0),
)
_XMIPP_CRITERIA = {
    "useCritXmipp": False,
    "critFirstZero": 5.0,
    "minCritFirstZeroRatio": 0.9,
    "maxCritFirstZeroRatio": 1.1,
    "critCorr": 0.05,
    "critCtfMargin": 1.5,
    "critIceness": 1.0,
    "minCritNonAstigmaticValidity": 0.3,
    "maxCritNonAstigmaticValidity": 9.0,
    "includeSecondary": False,
}

_CTF_CONSENSUS = Counterpart(
    ("XmippProtCTFConsensus",),
    "CtfConsensus",
    {"first": ("inputCTF",), "second": ("inputCTF2",)},
    (
        *_RANGES,
        same("minConsResol", "consensus_max", 15.0),
        choice("averageDefocus", "keep", ("first", "average"), False),
        Rule({}, ("version",), lambda values, about: {"version": "linear"}, lambda values, about: {}),
    ),
    idle=_XMIPP_CRITERIA,
    when=lambda values: truth(values.get("calculateConsensus")),
    fixed={"calculateConsensus": True},
)

_CTF_FILTER = Counterpart(
    ("XmippProtCTFConsensus",),
    "FilterCtf",
    {"ctf": ("inputCTF",)},
    _RANGES,
    idle={**_XMIPP_CRITERIA, "inputCTF2": None, "minConsResol": 15.0, "averageDefocus": False},
    when=lambda values: not truth(values.get("calculateConsensus")),
    fixed={"calculateConsensus": False},
)

TABLE: tuple[Counterpart, ...] = (
    IMPORT,
    *PROGRAMS,
    *FLOW,
    _MOTIONCOR,
    _FLEXALIGN,
    _RELION_MOTION,
    _OLD_MOTION,
    _GAIN,
    _MAX_SHIFT,
    _CTFFIND,
    _GCTF,
    _XMIPP_CTF,
    _CTF_CONSENSUS,
    _CTF_FILTER,
)

REASONS: Mapping[str, str] = {
    "ProtMonitorSummary": "the page, the report and the alarms of a project show what it shows",
    "ProtMonitorCTF": "the page and the alarms of a project show what it shows",
    "ProtMonitorSystem": "the page shows the load of the machine",
    "ProtMonitorMovieGain": "EstimateGain tells it by itself",
    "ProtMonitorISPyB": "results are handed to other systems by listeners of a project",
    "ProtMonitorISPyB_ESRF": "results are handed to other systems by listeners of a project",
    "ProtOSCEM": "the export of a project describes its processing",
    "ProtRelion2Autopick": "its templates come from another step: give RelionAutopick a stack of them",
    "ProtUnionSet": "JoinSets joins two sets, and here are more",
    "XmippProtConsensusPicking": "PickConsensus compares two to five pickers",
    "ProtSplitSet": "SplitSet passes one part on: add one for each part",
    "ProtImportMicrographs": "here a session begins with movies",
}
"""Why some protocols of Scipion have no counterpart here, and what does their work instead."""

OUTPUTS: Mapping[str, str] = {
    "Movie": "outputMovies",
    "Micrograph": "outputMicrographs",
    "Ctf": "outputCTF",
    "Gain": "estimatedGains",
    "Picks": "outputCoordinates",
    "Particles": "outputParticles",
    "Classes": "outputClasses",
}
"""What their protocols mostly call the output of a kind."""


def describe() -> str:
    """The table as text, Markdown: classes of Scipion, our protocols, and the parameters that differ in name."""
    lines = ["| Scipion | here | parameters |", "|---|---|---|"]
    for counterpart in TABLE:
        pairs = [
            f"{', '.join(rule.theirs)} → {', '.join(name.removeprefix(AT_IMPORT) for name in rule.ours)}"
            for rule in counterpart.rules
            if rule.theirs
        ]
        program = " (the program)" if counterpart.program else ""
        lines.append(f"| {', '.join(counterpart.theirs)} | {counterpart.ours}{program} | {'; '.join(pairs)} |")
    lines += [f"| {kind} | – | {why} |" for kind, why in REASONS.items()]
    return "\n".join(lines)
