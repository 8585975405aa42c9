"""The stage bench-engine, on a simulated board: figures that its inference time explains, and the board's state."""

import pytest

from stages.jetson import bench_engine

BENCH = "stages.jetson.bench_engine"
PARAMETERS = {"runs": 20, "warmup_runs": 2}


@pytest.fixture
def bench(stages_of, engine, bundle, nano):
    def run(changes=(), model=bundle, **settings):
        inputs = {"engine": engine, "model": model} if model else {"engine": engine}
        return stages_of.run(BENCH, inputs, PARAMETERS, root=nano(changes), **settings)

    return run


def test_figures_are_those_of_an_inference_of_30_ms(bench):
    ran = bench(INFERENCE_MS=30)
    assert ran.code == 0, ran.log
    found = ran.json("bench.json")
    for name in ("network", "end_to_end"):
        one = found[name]
        assert 30 <= one["least_ms"] <= one["median_ms"] <= one["p90_ms"] <= one["p99_ms"] <= one["most_ms"]
        assert one["per_second"] == pytest.approx(1000 / one["mean_ms"], rel=0.01)
    assert found["network"]["least_ms"] < 60 and found["network"]["median_ms"] <= found["end_to_end"]["median_ms"]
    assert found["memory_mb"]["free_before"] == 1500 and found["memory_mb"]["process"]["most"] > 0
    assert found["board"]["power_mode"] == "MAXN (10 W)" and found["board"]["temperatures"] == {"AO-therm": 41.5}
    assert found["engine"]["precision"] == "fp16" and found["slowed"] == [] and ran.all("warning") == []
    text = (ran.folder / "bench.txt").read_text()
    assert "network alone" in text and "1280 x 720 picture to boxes" in text and "Jetson Nano" in text
    figures = ran.all("metrics")[-1]
    assert (
        figures["network_ms"] == found["network"]["median_ms"]
        and figures["per_second"] == found["end_to_end"]["per_second"]
    )


def test_a_board_that_saves_power_is_warned_of(bench):
    ran = bench({"var/lib/nvpmodel/status": "pmode:0001"}, model=None, INFERENCE_MS=1)
    assert ran.code == 0 and "sudo nvpmodel -m 0" in ran.all("warning")[0], ran.log
    assert "Not at full speed" in (ran.folder / "bench.txt").read_text()


def test_an_engine_of_another_version_is_refused_with_what_builds_it_again(bench):
    ran = bench(TENSORRT="8.0.1")
    assert ran.code == 2 and "built for TensorRT 8.2.1" in ran.error and "./run build-engine" in ran.error


def test_percentiles():
    found = bench_engine.figures([float(number) for number in range(1, 102)])
    assert (found["median_ms"], found["p90_ms"], found["p99_ms"]) == (51, 91, 100)
    assert (found["least_ms"], found["most_ms"], found["mean_ms"]) == (1, 101, 51)
