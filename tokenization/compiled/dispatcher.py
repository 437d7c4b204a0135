"""numba's dispatcher, changed so that the first call of a loop made of many functions compiles in half the time.

numba compiles every function that a loop calls as if Python called it, too: optimised to the end, with entry points
for Python and C, emitted as machine code, and written to disk. Here the functions that a compiled function calls remain
in LLVM's intermediate representation, which is linked into the caller, inlined and optimised with it; only what Python
calls becomes machine code. This uses classes of numba that are not its public interface, of the version that is pinned.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import compiler, sigutils, typing
from numba.core.codegen import JITCodeLibrary
from numba.core.dispatcher import _FunctionCompiler  # type: ignore[attr-defined]
from numba.core.registry import CPUDispatcher
from numba.core.types.misc import unliteral

from tokenization.compiled.cache import SourceCache

OPTIONS = {"nopython": True, "nogil": True, "no_cfunc_wrapper": True, "boundscheck": None}


class Loop(CPUDispatcher):  # type: ignore[misc]
    """A compiled function: machine code for each signature that Python calls, a part for each that a loop calls."""

    def __init__(self, py_func: Callable[..., object], locals: Any = None, targetoptions: Any = None, **options: Any):
        """`locals`, `targetoptions`: as numba gives them when it makes a copy; `options`: of `numba.njit`."""
        super().__init__(py_func, locals or {}, targetoptions or {**OPTIONS, **options})
        self._parts: dict[tuple[Any, ...], Any] = {}
        self._part_compiler = PartCompiler(
            py_func,
            self._compiler.targetdescr,
            self.targetoptions,
            self._compiler.locals,
            self._compiler.pipeline_class,
        )

    def compile(self, sig: Any) -> Any:
        """Return the machine code of a signature as a function, from the disk where it has been compiled before."""
        if not isinstance(self._cache, SourceCache):  # type: ignore[has-type]
            self._cache = SourceCache(self.py_func)
        try:
            with _without_garbage_collection():
                return super().compile(sig)
        finally:
            self._cache.end_turn()

    def get_call_template(self, args: Any, kws: Any) -> tuple[Any, Any, Any, dict[str, Any]]:
        """Return the signature of a call by another compiled function, for numba's inference of types."""
        signature, args = self._compiler.fold_argument_types(args, kws)
        args = tuple(map(unliteral, args))  # a constant is a value like others until it is inlined
        if args not in self._parts:
            part = self._part_compiler.compile(args, None)
            # A part has no entry point; its place is where numba looks for what a call means.
            key = part.fndesc
            self.targetctx.insert_user_function(key, part.fndesc, [part.library])
            self._parts[args] = part._replace(entry_point=key)
        name = self.py_func.__name__
        signatures = [part.signature for part in self._parts.values()]
        return typing.make_concrete_template(f"CallTemplate({name})", name, signatures), signature, args, {}

    def get_overload(self, sig: Any) -> Any:
        """Return what numba knows the part of a signature by."""
        return self._parts[tuple(sigutils.normalize_signature(sig)[0])].entry_point


class PartCompiler(_FunctionCompiler):  # type: ignore[misc]
    """Compiles a function for its callers among compiled functions."""

    def _compile_core(self, args: Any, return_type: Any) -> Any:
        flags = compiler.Flags()
        self.targetdescr.options.parse_as_flags(flags, self.targetoptions)
        flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
        context = self.targetdescr.target_context
        return compiler.compile_extra(
            self.targetdescr.typing_context,
            context,
            self.py_func,
            args=args,
            return_type=return_type,
            flags=flags,
            locals=self.locals,
            library=PartLibrary(context.codegen(), self.py_func.__qualname__),
            pipeline_class=self.pipeline_class,
        )


class PartLibrary(JITCodeLibrary):  # type: ignore[misc]
    """The code of a part, which is linked into that of its callers and never run by itself."""

    def _optimize_final_module(self) -> None:
        """Inline, and remove what is superfluous, so that callers link little; they optimise the rest."""
        passes, builder = self._codegen._module_pass_manager(
            loop_vectorize=False, slp_vectorize=False, opt=self._codegen._opt_level, cost="cheap"
        )
        passes.run(self._final_module, builder)

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Compile without the collections of garbage that numba's many objects would start: they find none."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
