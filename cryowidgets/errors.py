"""Every error that cryowidgets raises on purpose: one root, few branches.

A message says what happened, to which item, file or field, and what to write instead.
"""


class CryowidgetsError(Exception):
    """Root of all errors of this package; catch it to catch them all."""


class InputError(CryowidgetsError):
    """A file that cannot be used: missing, truncated, unreadable, of the wrong size. Names the file."""


class ProgramError(CryowidgetsError):
    """An outside program that is missing, failed, took too long, or wrote nonsense. Names the program and its log."""


class ParameterError(CryowidgetsError):
    """A parameter that does not exist or a value that it does not take. Names the parameter."""


class WorkflowError(CryowidgetsError):
    """Steps and links that do not fit together. Names step and link."""


class PluginError(WorkflowError):
    """What another package brings and cannot be used. Names the package and says why."""


class ProjectError(CryowidgetsError):
    """A project folder that is missing, not a project, or of another version. Names the folder."""


class EngineRunning(ProjectError):
    """A second engine on the same project. Names host and process of the first."""


class CommandError(CryowidgetsError):
    """A command to the engine that cannot be carried out. Names the command."""
