"""An engine at work: buffers made once, pinned; copies and inference queued on a stream.

Two ways to name buffers: bindings by number (TensorRT 5.0 to 8.x) and tensors by name (from 8.5 on, and the only way
from 10 on). ``NMS_1``, the number of detections, holds int32 bits in what TensorRT calls float32.
"""

import contextlib
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

import numpy as np

from stages.job import BadInput, StageFailed

NO_MEMORY = "The device has no memory for the engine's buffers (%s); end other programs"
FAILED = "The engine ended with an error of CUDA's: %s; what TensorRT said is in the log"


class Buffer(NamedTuple):
    """A tensor of an engine: page-locked memory here, memory on the device."""

    name: str
    is_input: bool
    shape: Tuple[int, ...]
    host: np.ndarray
    device: Any


def loaded(trt: Any, logger: Any, plan: bytes, where: str) -> Any:
    """The engine in ``plan``.

    Raises:
        BadInput: TensorRT does not take it: of another version or device, or damaged.
    """
    engine = trt.Runtime(logger).deserialize_cuda_engine(plan)
    if engine is None:
        raise BadInput(
            "TensorRT %s does not take the engine %s: it is damaged, or of another version or device; build it again"
            % (trt.__version__, where)
        )
    return engine


class Slot(NamedTuple):
    """A place for one picture: page-locked memory of its own for all tensors; memory on the device is the runner's.

    Attributes:
        inputs, outputs: name -> buffer.
        results: name -> the output's array in its shape, made once.
        done: the CUDA event that stands behind all that was queued for it.
    """

    inputs: Dict[str, Buffer]
    outputs: Dict[str, Buffer]
    results: Dict[str, np.ndarray]
    done: Any


class EngineRunner:
    """Runs an engine on one picture after the other; with a second slot one waits on the device while one is filled.

    All is queued on one stream in order, so slots can share the memory on the device, and no run starts before the
    last one's results are copied back. Nothing is made anew for a picture.

    Attributes:
        slots: write the ``host`` of a slot's inputs, then :meth:`start`, then :meth:`finish`, then read.
        inputs, outputs: those of the first slot.

    Raises:
        StageFailed: the device has too little memory for the buffers.
    """

    def __init__(self, engine: Any, cuda: Any, slots: int = 1) -> None:
        # The context before its engine, as they are let go in this order: before 8.0 neither keeps the other.
        self._context, self._engine = _context(engine), engine
        self._cuda, self._stream = cuda, cuda.Stream()
        self._by_name = not hasattr(engine, "num_bindings")
        self._buffers = self._allocated()
        self._pointers = [int(one.device) for one in self._buffers]
        by_shape = all(len(one.shape) == 3 for one in self._buffers if one.is_input)  # what 6.0 lets one see
        self._is_implicit = not self._by_name and getattr(engine, "has_implicit_batch_dimension", by_shape)
        if self._by_name:
            for one, pointer in zip(self._buffers, self._pointers):
                self._context.set_tensor_address(one.name, pointer)
        more = [[one._replace(host=self._pinned(one.shape)) for one in self._buffers] for _ in range(slots - 1)]
        self.slots = [self._slot(buffers) for buffers in [self._buffers, *more]]
        self.inputs, self.outputs = self.slots[0].inputs, self.slots[0].outputs

    def start(self, slot: int = 0) -> None:
        """Queue the copy to the device, the inference and the copies back; returns at once.

        Raises:
            StageFailed: CUDA or TensorRT does not take it.
        """
        this = self.slots[slot]
        try:
            for one in this.inputs.values():
                self._cuda.memcpy_htod_async(one.device, one.host, self._stream)
            self._execute()
            for one in this.outputs.values():
                self._cuda.memcpy_dtoh_async(one.host, one.device, self._stream)
            this.done.record(self._stream)
        except self._cuda.Error as error:
            raise StageFailed(FAILED % error) from None

    def finish(self, slot: int = 0) -> Dict[str, np.ndarray]:
        """Wait for what was started in a slot; the outputs by name, in buffers that its next start fills again.

        Raises:
            StageFailed: it ended with an error of CUDA's.
        """
        try:
            self.slots[slot].done.synchronize()
        except self._cuda.Error as error:
            raise StageFailed(FAILED % error) from None
        return self.slots[slot].results

    def rest(self) -> None:
        """Wait for all that was started, before the engine goes; nobody asks any more what it ended with."""
        with contextlib.suppress(self._cuda.Error):
            self._stream.synchronize()

    def profiled(self, trt: Any, runs: int) -> Dict[str, float]:
        """Milliseconds that each layer takes on what the inputs hold, the mean of ``runs`` runs after a first one.

        By IProfiler, which in every version is called where the call waits for its results.
        """
        times: Dict[str, float] = {}

        class Profiler(trt.IProfiler):  # type: ignore[misc]
            """Adds up what TensorRT reports."""

            def __init__(self) -> None:
                trt.IProfiler.__init__(self)

            def report_layer_time(self, layer_name: str, ms: float) -> None:
                times[layer_name] = times.get(layer_name, 0.0) + ms

        for one in self.inputs.values():
            self._cuda.memcpy_htod(one.device, one.host)
        self._context.profiler = Profiler()
        for number in range(runs + 1):
            self._execute_and_wait()
            if not number:
                times.clear()
        return {name: total / runs for name, total in times.items()}

    def _execute_and_wait(self) -> None:
        waits = self._context
        done = waits.execute(1, self._pointers) if self._is_implicit else waits.execute_v2(self._pointers)
        if done is False:
            raise StageFailed("TensorRT could not run the engine; its reason is in the log")

    def _execute(self) -> None:
        if self._by_name:
            done = self._context.execute_async_v3(self._stream.handle)
        elif self._is_implicit:
            done = self._context.execute_async(1, self._pointers, self._stream.handle)
        else:
            done = self._context.execute_async_v2(self._pointers, self._stream.handle)
        if done is False:
            raise StageFailed("TensorRT could not run the engine; its reason is in the log")

    def _allocated(self) -> List[Buffer]:
        found = []
        for name, is_input, shape in self._tensors():
            host = self._pinned(shape)
            found.append(Buffer(name, is_input, shape, host, self._memory(self._cuda.mem_alloc, host.nbytes)))
        return found

    def _pinned(self, shape: Tuple[int, ...]) -> np.ndarray:
        flat: np.ndarray = self._memory(
            self._cuda.pagelocked_empty, int(np.prod(shape, dtype=np.int64)), np.dtype(np.float32)
        )
        return flat

    def _memory(self, taken: Callable[..., Any], *amount: Any) -> Any:
        try:
            return taken(*amount)
        except self._cuda.MemoryError as error:
            raise StageFailed(NO_MEMORY % error) from None

    def _slot(self, buffers: List[Buffer]) -> Slot:
        outputs = {one.name: one for one in buffers if not one.is_input}
        return Slot(
            {one.name: one for one in buffers if one.is_input},
            outputs,
            {name: one.host.reshape(one.shape) for name, one in outputs.items()},
            self._cuda.Event(),
        )

    def _tensors(self) -> List[Tuple[str, bool, Tuple[int, ...]]]:
        engine = self._engine
        if not self._by_name:
            return [
                (engine.get_binding_name(n), engine.binding_is_input(n), tuple(engine.get_binding_shape(n)))
                for n in range(engine.num_bindings)
            ]
        names = [engine.get_tensor_name(n) for n in range(engine.num_io_tensors)]
        kinds = {name: str(engine.get_tensor_mode(name)).endswith("INPUT") for name in names}
        return [(name, kinds[name], tuple(engine.get_tensor_shape(name))) for name in names]


def _context(engine: Any) -> Any:
    context = engine.create_execution_context()
    if context is None:
        raise StageFailed(NO_MEMORY % "TensorRT gives no execution context")
    return context
