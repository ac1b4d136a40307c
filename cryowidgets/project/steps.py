"""The steps of a project: to look at, to change and to add to."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cryowidgets import workflow
from cryowidgets.engine import adding
from cryowidgets.errors import ParameterError, WorkflowError
from cryowidgets.protocols import registry
from cryowidgets.protocols.base import Protocol
from cryowidgets.store import changes
from cryowidgets.store.nodes import Cost
from cryowidgets.workflow import StepSpec

if TYPE_CHECKING:
    from cryowidgets.project.project import Project


class ProjectWorkflow:
    """The steps of a project as something to add to."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def widget(self) -> Any:
        """The graph of the workflow, live, with forms to change and to add steps, to be displayed in a notebook."""
        return importlib.import_module("cryowidgets.widgets").WorkflowWidget(self._project)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """What a notebook shows of it."""
        return self.widget()._repr_mimebundle_(**options)

    @property
    def steps(self) -> list[StepSpec]:
        """The steps as a document would hold them."""
        with self._project.reader() as reader:
            return [adding.spec_of(step) for step in reader.steps().values()]

    @property
    def movies(self) -> Step:
        """The step that imports the movies."""
        for step in self.steps:
            if step.protocol == "ImportMovies":
                return Step(self._project, step.name)
        raise WorkflowError("This workflow imports no movies.")

    def add(
        self,
        protocol: str | type[Protocol],
        name: str | None = None,
        *,
        after: Iterable[Step | str] = (),
        hold: bool = False,
        **values: Any,
    ) -> Step:
        """Add a step, at any time: what is there is done first, then what comes.

        Parameters
        ----------
        protocol : str or type
        name : str, optional
            By default the protocol's in lower case, with a number where there is such a step already.
        after : iterable of Step or str
            Steps that must have ended before this one begins.
        hold : bool
            Begin nothing at it until it is released.
        **values
            Links by input name (or its plural) as `Step` or step name; everything else is a parameter.

        Raises
        ------
        WorkflowError, ParameterError
            It does not fit; the message lists what would.
        """
        cls = registry.get(protocol) if isinstance(protocol, str) else protocol
        present = self.steps
        taken = {step.name for step in present}
        if name is None:
            stem = cls.__name__.lower()
            name = next(n for n in (stem, *(f"{stem}{i}" for i in range(2, 1000))) if n not in taken)
        inputs = {}
        for input in cls.inputs():
            for key in (input, input + "s"):
                if key in values:
                    source = values.pop(key)
                    inputs[input] = source.name if isinstance(source, Step) else str(source)
        ended = tuple(other.name if isinstance(other, Step) else str(other) for other in after)
        params = cls(**values).values()
        step = StepSpec(name, registry.name_of(cls), params, inputs, after=ended, hold=hold)
        faults = workflow.check([*present, step])
        if faults:
            raise WorkflowError("\n".join(faults))
        self._project.add(step)
        return Step(self._project, name)


class Step:
    """A step of a project."""

    def __init__(self, project: Project, name: str) -> None:
        self.project, self.name = project, name

    @property
    def _row(self):
        with self.project.reader() as reader:
            return reader.steps()[self.name]

    @property
    def protocol(self) -> str:
        return self._row.protocol

    @property
    def params(self) -> dict[str, Any]:
        """The parameters as they are now."""
        return self._row.params

    @property
    def state(self) -> str:
        return self._row.state

    def set(self, redo: bool = False, scope: str = "", **values: Any) -> None:
        """Change parameters. A value that is refused is refused here, before anything is sent to the engine.

        Parameters
        ----------
        redo : bool
            The same as scope `branch`.
        scope : str, optional
            ``new`` for new items only, while older results count as outdated; ``branch`` for what was done here and
            all that came of it; ``all`` for all that came of the movies. See `cost`.
        **values
            Parameters of the step's protocol.
        """
        scope = scope or ("branch" if redo else "new")
        self.check(scope, **values)
        self.cost(scope)  # refuses what is no scope
        self.project.send("set", step=self.name, values=values, scope=scope)

    def check(self, scope: str = "new", **values: Any) -> None:
        """Refuse values that the protocol does not take with those that there are, or not in this scope.

        Raises
        ------
        ParameterError
            One of them does not fit; or it holds from the first batch on, and only new items were to have another.
        """
        protocol = registry.get(self.protocol)
        made = protocol(**{**protocol.known(self.params), **values})
        if scope == "new":
            with self.project.reader() as reader:
                meant = {name: getattr(made, name) for name in values}
                unheard = changes.unheard(reader.query, self._row, protocol.lasting, meant)
            if unheard:
                raise ParameterError(changes.why_unheard(self.name, unheard))

    def cost(self, scope: str = "branch") -> Cost:
        """How many tasks a change with this scope would have done again, and how long that takes."""
        with self.project.reader() as reader:
            return reader.cost(self.name, scope)

    def link(self, **inputs: Step | str) -> None:
        """Take inputs from other steps: this step is done again, and all that depends on it.

        Whether a link fits is judged by the engine, which says so in the log where it does not.
        """
        for input, source in inputs.items():
            name = source.name if isinstance(source, Step) else str(source)
            self.project.send("link", step=self.name, input=input, source=name)

    def hold(self) -> None:
        """Begin nothing at this step until it is released."""
        self.project.send("hold", step=self.name)

    def release(self) -> None:
        """Go on where it was held, stopped or reset."""
        self.project.send("release", step=self.name)

    def stop(self) -> None:
        """Begin nothing more here and at what depends on it; what is under way is finished."""
        self.project.send("stop_branch", step=self.name)

    def restart(self) -> None:
        """Do again what was done here, and all that came of it."""
        self.project.send("restart", step=self.name)

    def reset(self) -> None:
        """Take away what was made here, files too, and all that came of it; nothing is done until it is restarted."""
        self.project.send("reset", step=self.name)

    def widget(self) -> Any:
        """Form, state, log and results of the step, to be displayed in a notebook."""
        return importlib.import_module("cryowidgets.widgets").ProtocolWidget(self)

    def __repr__(self) -> str:
        return f"Step({self.name!r}, {self.protocol})"
