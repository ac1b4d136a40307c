"""The part of the table for outside programs: the same program here as there, where it is on this machine."""

from __future__ import annotations

from typing import Any

from cryowidgets.workflow.scipion_rules import (
    About,
    Counterpart,
    Rule,
    Values,
    choice,
    constant,
    defocus,
    file,
    number,
    optional,
    phases,
    pixels,
    resolution,
    same,
    truth,
    turned,
    whole,
    words,
)

_MOVIE = {"movie": ("inputMovies",)}
_MICROGRAPH = {"micrograph": ("inputMicrographs",)}
_CROPPED = {"cropOffsetX": 0, "cropOffsetY": 0, "cropDimX": 0, "cropDimY": 0}
_EER = (same("eerGroup", "eer_group", None, whole), choice("eerSampling", "eer_upsampling", (1, 2), 0))


def _first(name: str) -> Rule:
    """The first frame, counted from 1; old files count it as 0."""
    return Rule(
        {name: 1},
        ("first_frame",),
        lambda values, about: {"first_frame": max(whole(values[name]), 1)},
        lambda values, about: {name: values["first_frame"]},
    )


def _restraint() -> Rule:
    """Astigmatism above which CTFFIND holds a fit back, with its switch."""

    def read(values: Values, about: About) -> dict[str, Any]:
        return {"astigmatism": number(values["astigmatism"]) if truth(values["fixAstig"]) else -1.0}

    def write(values: Values, about: About) -> dict[str, Any]:
        on = values["astigmatism"] >= 0
        return {"fixAstig": on, **({"astigmatism": values["astigmatism"]} if on else {})}

    return Rule({"fixAstig": False, "astigmatism": 500.0}, ("astigmatism",), read, write)


def _lowpass() -> Rule:
    """Filter of crYOLO: up to 0.5 it is of the sampling, in later versions Å."""

    def read(values: Values, about: About) -> dict[str, Any]:
        if not truth(values["lowPassFilter"]):
            return {"lowpass": 0.0}
        cut = number(values["absCutOffFreq"])
        if cut > 0.5 and not about.pixel_size:
            raise ValueError("absCutOffFreq needs the pixel size, which the file does not tell")
        return {"lowpass": cut if cut <= 0.5 else about.pixel_size / cut}

    def write(values: Values, about: About) -> dict[str, Any]:
        on = values["lowpass"] > 0
        return {"lowPassFilter": on, **({"absCutOffFreq": values["lowpass"]} if on else {})}

    return Rule({"lowPassFilter": False, "absCutOffFreq": 0.1}, ("lowpass",), read, write)


def _rescaled() -> Rule:
    """Side of reduced particles, with its switch."""
    return Rule(
        {"doRescale": False, "rescaledSize": 128},
        ("scale",),
        lambda values, about: {"scale": whole(values["rescaledSize"]) if truth(values["doRescale"]) else 0},
        lambda values, about: {
            "doRescale": values["scale"] > 0,
            **({"rescaledSize": values["scale"]} if values["scale"] else {}),
        },
    )


def _dust() -> Rule:
    """Dust of both signs, with one switch for both."""

    def read(values: Values, about: About) -> dict[str, Any]:
        limit = number(values["thresholdDust"]) if truth(values["doRemoveDust"]) else -1.0
        return {"white_dust": limit, "black_dust": limit}

    def write(values: Values, about: About) -> dict[str, Any]:
        on = values["white_dust"] > 0
        return {"doRemoveDust": on, **({"thresholdDust": values["white_dust"]} if on else {})}

    return Rule({"doRemoveDust": True, "thresholdDust": 5.0}, ("white_dust", "black_dust"), read, write)


def _background() -> Rule:
    """Diameter of the background circle, px of the micrograph; negative where it is left open."""

    def read(values: Values, about: About) -> dict[str, Any]:
        diameter = number(values["backDiameter"])
        if diameter <= 0:
            return {"background": 0.0}
        if not about.pixel_size:
            raise ValueError("backDiameter needs the pixel size, which the file does not tell")
        return {"background": diameter * about.pixel_size}

    def write(values: Values, about: About) -> dict[str, Any]:
        if values["background"] and not about.pixel_size:
            return {}
        return {"backDiameter": round(values["background"] / about.pixel_size) if values["background"] else -1}

    return Rule({"backDiameter": -1}, ("background",), read, write)


def _iterations() -> Rule:
    """Method of the classification, and how many iterations it makes."""

    def read(values: Values, about: About) -> dict[str, Any]:
        gradient = truth(values["useGradientAlg"])
        count = whole(values["numberOfVDAMBatches" if gradient else "numberOfIterations"])
        return {"method": "VDAM" if gradient else "EM", "iterations": count}

    def write(values: Values, about: About) -> dict[str, Any]:
        gradient = values["method"] == "VDAM"
        count = values["iterations"] or (200 if gradient else 25)
        return {"useGradientAlg": gradient, "numberOfVDAMBatches" if gradient else "numberOfIterations": count}

    theirs = {"useGradientAlg": True, "numberOfVDAMBatches": 200, "numberOfIterations": 25}
    return Rule(theirs, ("method", "iterations"), read, write)


PROGRAMS: tuple[Counterpart, ...] = (
    Counterpart(
        ("ProtMotionCorr", "ProtMotionCorrTasks", "ProtMotionCorr2"),
        "MotionCor",
        _MOVIE,
        (
            _first("alignFrame0"),
            same("binFactor", "binning", 1.0),
            same("doApplyDoseFilter", "dose_weighting", True),
            same("patchX", "patch_x", 5),
            same("patchY", "patch_y", 5),
            same("patchOverlap", "overlap", 0),
            same("group", "group", 1),
            same("groupLocal", "group_local", 4),
            same("tol", "tolerance", 0.2),
            same("splitEvenOdd", "halves", False),
            *_EER,
            turned(),
            file("defectFile", "defect_file"),
            file("defectMap", "defect_map"),
            same("extraParams2", "arguments", "", words, ""),
        ),
        idle={
            **_CROPPED,
            "alignFrameN": 0,
            "useAlignToSum": True,
            "sumFrame0": 1,
            "sumFrameN": 0,
            "doSaveMovie": False,
            "extraParams": "",
            "doMagCor": False,
            "useEst": True,
            "scaleMaj": 1.0,
            "scaleMin": 1.0,
            "angDist": 0.0,
            "useMotioncor2": True,
            "computeAllFramesAvg": False,
        },
        program=True,
    ),
    Counterpart(
        ("ProtRelionMotioncor",),
        "RelionMotioncorr",
        _MOVIE,
        (
            _first("sumFrame0"),
            same("sumFrameN", "last_frame", 0),
            same("binFactor", "binning", 1.0),
            same("doDW", "dose_weighting", True),
            same("patchX", "patch_x", 1),
            same("patchY", "patch_y", 1),
            same("bfactor", "bfactor", 150.0),
            same("groupFrames", "group", 1),
            same("eerGroup", "eer_group", None, whole),
            turned(),
            same("extraParams", "arguments", "", words, ""),
        ),
        idle={"saveFloat16": True, "defectFile": None, **_CROPPED},
        program=True,
    ),
    Counterpart(
        ("CistemProtCTFFind", "ProtCTFFind", "GrigorieffLabProtCTFFind"),
        "Ctffind",
        _MICROGRAPH,
        (
            same("windowSize", "box", 512),
            resolution("lowRes", "highRes", (30.0, 5.0), digital=False),
            defocus("minDefocus", "maxDefocus", (5000.0, 50000.0), micrometres=False),
            same("stepDefocus", "defocus_step", 100.0),
            same("slowSearch", "slow_search", False),
            _restraint(),
            phases("findPhaseShift", "minPhaseShift", "maxPhaseShift"),
            same("stepPhaseShift", "phase_step", 10.0),
        ),
        idle={"inputType": 1, "avgFrames": 3, "ctfDownFactor": 1.0, "useCftfind4": True, "useCtffind4": True},
        when=lambda values: str(values.get("inputType", 1)) != "0",
        program=True,
    ),
    Counterpart(
        ("ProtGctf",),
        "Gctf",
        _MICROGRAPH,
        (
            same("windowSize", "box", 1024),
            resolution("lowRes", "highRes", (50.0, 4.0), digital=False),
            defocus("minDefocus", "maxDefocus", (5000.0, 90000.0), micrometres=False),
            same("astigmatism", "astigmatism", 1000.0),
            phases("doPhShEst", "phaseShiftL", "phaseShiftH"),
            same("phaseShiftS", "phase_step", 10.0),
            same("bfactor", "bfactor", 150.0),
            same("doEPA", "equiphase", True),
        ),
        idle={
            "ctfDownFactor": 1.0,
            "stepDefocus": 500.0,
            "plotResRing": True,
            "EPAsmp": 4,
            "doBasicRotave": False,
            "overlap": 0.5,
            "convsize": 85,
            "smoothResL": 1000,
            "doHighRes": False,
            "HighResL": 15.0,
            "HighResH": 4.0,
            "HighResBf": 50,
            "doValidate": False,
            "phaseShiftT": 0,
            "coSearchRefine": False,
            "refine2DT": 1,
        },
        program=True,
    ),
    Counterpart(
        ("SphireProtCRYOLOPicking", "SphireProtCRYOLOPickingTasks"),
        "Cryolo",
        _MICROGRAPH,
        (
            pixels("boxSize", "diameter", 1.0, None),
            same("conservPickVar", "threshold", 0.3),
            same("input_size", "input_size", 1024),
            _lowpass(),
        ),
        idle={
            "inputModelFrom": 0,
            "inputModel": None,
            "max_box_per_image": 600,
            "num_patches": 1,
            "boxSizeFactor": -1,
            "numCpus": 4,
            "useGenMod": True,
        },
        program=True,
        word="Its model is to be given: the parameter 'model' names the file",
    ),
    Counterpart(
        ("TopazProtPicking",),
        "Topaz",
        _MICROGRAPH,
        (
            choice("generalModel", "model", ("resnet16_u64", "resnet16_u32", "resnet8_u64", "resnet8_u32"), 0),
            same("scale", "downscale", 4),
            same("radius", "radius", 8),
            same("threshold", "threshold", -6.0),
            pixels("boxSize", "diameter", 1.0, None),
        ),
        idle={"modelInitialization": 0, "prevTopazModel": None, "doDenoise": False, "numWorkers": -1},
        program=True,
    ),
    Counterpart(
        ("ProtGautomatch",),
        "Gautomatch",
        _MICROGRAPH,
        (
            optional("particleSize", "diameter", 125.0, 250.0, 2.0),
            same("threshold", "threshold", 0.1),
            same("angStep", "angular_step", 5.0),
            same("invertTemplatesContrast", "white_templates", True),
            same("minDist", "distance", 0.0),
            choice("speed", "speed", (0, 1, 2, 3, 4), 2),
            same("lowPass", "lowpass", 30.0),
            same("highPass", "highpass", 1000.0),
            same("localSigmaCutoff", "sigma_max", 1.2),
            same("localAvgMin", "mean_min", -1.0),
            same("localAvgMax", "mean_max", 1.0),
        ),
        idle={
            "inputReferences": None,
            "advanced": True,
            "micrographsSelection": 0,
            "micrographsNumber": 10,
            "boxSize": -1,
            "localSigmaDiam": 100,
            "localAvgDiam": 100,
            "preFilt": False,
            "prelowPass": 8,
            "prehighPass": 1000,
            "detectIce": True,
            "templateNorm": 1,
            "doBandpass": True,
            "exclusive": False,
        },
        program=True,
    ),
    Counterpart(
        ("ProtRelionAutopickLoG",),
        "RelionAutopick",
        _MICROGRAPH,
        (
            same("minDiameter", "diameter_min", 200.0),
            same("maxDiameter", "diameter_max", 250.0),
            same("maxResolution", "lowpass", 20.0),
            same("threshold", "log_threshold", 0.0),
            same("threshold2", "log_upper", 999.0),
            same("extraParams", "arguments", "", words, ""),
            constant(method="LoG"),
        ),
        idle={"boxSize": None, "areParticlesWhite": False},
        fits=lambda values: values.get("method", "LoG") == "LoG",
        program=True,
    ),
    Counterpart(
        ("ProtRelionExtractParticles",),
        "RelionExtract",
        {"micrograph": ("inputMicrographs",), "ctf": ("ctfRelations",), "picks": ("inputCoordinates",)},
        (
            same("boxSize", "box", None, whole, 0),
            _rescaled(),
            same("doInvert", "invert", None, truth),
            same("doNormalize", "normalize", True),
            _background(),
            same("stddevWhiteDust", "white_dust", -1.0),
            same("stddevBlackDust", "black_dust", -1.0),
            same("saveFloat16", "half_precision", True),
        ),
        idle={"downsampleType": 0, "downFactor": 1.0},
        asked={"inputMicrographs": lambda values: str(values.get("downsampleType", 0)) == "1"},
        program=True,
    ),
    Counterpart(
        ("XmippProtExtractParticles",),
        "RelionExtract",
        {"micrograph": ("inputMicrographs",), "ctf": ("ctfRelations",), "picks": ("inputCoordinates",)},
        (
            optional("boxSize", "box", -1, 0, kind=whole),
            same("doInvert", "invert", True),
            same("doNormalize", "normalize", True),
            _dust(),
        ),
        idle={
            "downsampleType": 0,
            "micsSource": 0,
            "downFactor": 1.0,
            "doBorders": False,
            "doFlip": False,
            "doSort": False,
            "rejectionMethod": 0,
            "maxZscore": 3,
            "percentage": 5,
            "normType": 2,
            "backRadius": -1,
            "doResize": False,
        },
        asked={
            "inputMicrographs": lambda values: "1" in (str(values.get("downsampleType")), str(values.get("micsSource")))
        },
        program=True,
        word="RELION extracts them: phases are not flipped, and grey values follow its way",
    ),
    Counterpart(
        ("ProtRelionClassify2D",),
        "RelionClass2D",
        {"particles": ("inputParticles",)},
        (
            same("numberOfClasses", "classes", 50),
            optional("maskDiameterA", "diameter", -1),
            _iterations(),
            same("regularisationParamT", "tau", 2.0),
            same("doCTF", "correct_ctf", True),
            same("centerAvg", "center", True),
            same("inplaneAngularSamplingDeg", "angular_step", 12.0),
            same("offsetSearchRangePix", "shift_range", 5.0),
            same("offsetSearchStepPix", "shift_step", 2.0),
        ),
        idle={"doContinue": False, "copyAlignment": False, "maskZero": 0, "doImageAlignment": True},
        program=True,
    ),
)
"""Counterparts that run a program of others."""
