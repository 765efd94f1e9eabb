# SPDX-License-Identifier: Apache-2.0
"""`@task`: a function that knows the image that it wants to run in.

It stays callable as the function that it is, and the runtime needs nothing but the function (which
it finds as `__wrapped__`), so a plain function is a task as well. No `functools` or `typing` at run
time: both are paid at each task start.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ParamSpec, Protocol, TypeVar, overload

    from imagekit.spec.model import ImageSpec

    P = ParamSpec("P")
    R_co = TypeVar("R_co", covariant=True)

    class TaskFunction(Protocol[P, R_co]):
        """What the decorator gives to type checkers: the function, and its image."""

        @property
        def image(self) -> ImageSpec | str | None: ...

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...


class Task:
    """`image` is an ImageSpec, the reference of an image, or None: whatever is built or chosen."""

    def __init__(self, function: Callable[..., Any], image: ImageSpec | str | None) -> None:
        self.__wrapped__ = function
        self.image = image
        for name in ("__module__", "__name__", "__qualname__", "__doc__"):
            setattr(self, name, getattr(function, name, None))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__wrapped__(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<task {self.__module__}:{self.__wrapped__.__qualname__}>"


if TYPE_CHECKING:

    @overload
    def task(function: Callable[P, R_co], /) -> TaskFunction[P, R_co]: ...
    @overload
    def task(
        *, image: ImageSpec | str | None = None
    ) -> Callable[[Callable[P, R_co]], TaskFunction[P, R_co]]: ...


def task(
    function: Callable[..., Any] | None = None, /, *, image: ImageSpec | str | None = None
) -> Any:
    """Make a task: `@task`, or `@task(image=ImageSpec(...))`.

    Example:
        >>> @task(image="registry.example/team/train:1")
        ... def double(x: int) -> int:
        ...     return 2 * x
        >>> double(x=4)
        8
    """
    if function is None:
        return lambda decorated: Task(decorated, image)
    if not callable(function):
        raise TypeError(f"@task decorates a function, not {type(function).__name__}")
    return Task(function, image)
