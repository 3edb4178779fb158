"""Things that ring, clink, sizzle and pour: alarms, dishes, a frying pan, running water."""

from __future__ import annotations

import numpy as np

from .signals import Signal, add_at, equalised, modes, pulse_train, ramps, shaped_noise, slow_curve, unit_rms

Parameters = dict[str, float]


def draw_alarm(rng: np.random.Generator) -> Parameters:
    """An alarm of one of three kinds: 0 beeper, 1 bell with a hammer, 2 two-tone or sweeping siren."""
    return {
        "kind": float(rng.integers(3)),
        "tone_hz": float(np.exp(rng.uniform(np.log(750), np.log(3400)))),
        "ratio": float(rng.uniform(1.15, 1.6)),
        "beats_per_s": float(rng.uniform(1.8, 6.0)),
        "duty": float(rng.uniform(0.35, 0.7)),
        "group": float(rng.integers(2, 5)),
        "hammer_per_s": float(rng.uniform(11, 24)),
        "edge": float(rng.uniform(0.0, 0.5)),
    }


def render_alarm(p: Parameters, rng: np.random.Generator, n: int, rate: int) -> Signal:
    """A steady tonal pattern."""
    t = np.arange(n, dtype=np.float32) / rate
    kind = int(p["kind"])
    if kind == 1:
        return _bell(p, rng, n, rate)
    beat = t * np.float32(p["beats_per_s"])
    if kind == 0:
        frequency = np.full(n, p["tone_hz"])
        on = (beat % 1.0 < p["duty"]) & ((beat // 1.0) % (p["group"] + 1) < p["group"])
    else:
        swing = 0.5 + 0.5 * np.sin(2 * np.pi * 0.5 * beat)
        swing = np.where(p["edge"] > 0.25, np.round(swing), swing)
        frequency = p["tone_hz"] * (1 + (p["ratio"] - 1) * swing)
        on = np.ones(n, dtype=bool)
    phase = np.remainder(2 * np.pi * np.cumsum(frequency) / rate, 2 * np.pi).astype(np.float32)
    tone = np.sin(phase) + np.float32(p["edge"]) * np.sin(3 * phase) + np.float32(0.4 * p["edge"]) * np.sin(2 * phase)
    smooth = max(3, int(0.006 * rate))
    gate = np.cumsum(np.pad(on.astype(np.float32), (smooth, 0)), dtype=np.float64)
    gate = (gate[smooth:] - gate[:-smooth]) / smooth
    return (tone * gate).astype(np.float32)


def _bell(p: Parameters, rng: np.random.Generator, n: int, rate: int) -> Signal:
    """A bell hit again and again by a hammer: inharmonic partials that hardly decay between the strokes."""
    partials = p["tone_hz"] * np.array([1.0, p["ratio"], 2.0 * p["ratio"], 2.76]) * 0.8
    stroke = modes(partials, [0.35, 0.3, 0.12, 0.1], [1.0, 0.8, 0.4, 0.3], int(0.5 * rate), rate)
    strokes = np.zeros(n, dtype=np.float32)
    times = np.arange(0, n, rate / p["hammer_per_s"]) + rng.normal(
        0, 0.002 * rate, int(np.ceil(n * p["hammer_per_s"] / rate))
    )
    for time in np.clip(times, 0, n - 1).astype(int):
        add_at(strokes, time, stroke, rng.uniform(0.8, 1.1))
    return strokes


def draw_dishes(rng: np.random.Generator) -> Parameters:
    """A set of crockery: lowest mode, how glassy it rings, how busy the hands are."""
    return {
        "base_hz": float(np.exp(rng.uniform(np.log(1500), np.log(3800)))),
        "spread": float(rng.uniform(1.3, 2.1)),
        "decay_s": float(np.exp(rng.uniform(np.log(0.025), np.log(0.11)))),
        "hits_per_s": float(rng.uniform(2.5, 7.0)),
        "clatter": float(rng.uniform(0.1, 0.5)),
        "body_seed": float(rng.integers(2**31)),
    }


def render_dishes(p: Parameters, rng: np.random.Generator, n: int, rate: int) -> Signal:
    """Clinks in little groups; three objects of the set, each with its own modes."""
    body = np.random.default_rng(int(p["body_seed"]))
    length = int(min(6 * p["decay_s"], 0.5) * rate)
    objects = []
    for _ in range(3):
        frequencies = (
            p["base_hz"] * body.uniform(0.85, 1.2) * p["spread"] ** (np.arange(5) + body.uniform(-0.2, 0.2, 5))
        )
        frequencies = frequencies[frequencies < 0.45 * rate]
        decays = p["decay_s"] * body.uniform(0.5, 1.3, len(frequencies)) / np.sqrt(1 + np.arange(len(frequencies)))
        ring = modes(frequencies, decays, body.uniform(0.4, 1.0, len(frequencies)), length, rate)
        click = shaped_noise(body, length, rate, ([100, 1500, 6000, 16000], [-30, -6, 0, -10]))
        click *= np.exp(-np.arange(length, dtype=np.float32) / (0.004 * rate))
        objects.append(ring + np.float32(p["clatter"]) * click)
    out = np.zeros(n, dtype=np.float32)
    position = 0
    while position < n:
        add_at(out, position, objects[int(rng.integers(3))], np.exp(rng.normal(-0.3, 0.5)))
        pause = rng.exponential(1.0 / p["hits_per_s"])
        position += int(rate * np.clip(pause, 0.03, 0.5))
    return out


def draw_frying(rng: np.random.Generator) -> Parameters:
    """A pan: hiss colour, crackles a second and their colour."""
    return {
        "hiss_hz": float(rng.uniform(3500, 9000)),
        "hiss_tilt_db": float(rng.uniform(-14, -4)),
        "crackles_per_s": float(np.exp(rng.uniform(np.log(60), np.log(300)))),
        "crackle_hz": float(rng.uniform(3000, 9000)),
        "crackle_level": float(rng.uniform(0.7, 2.2)),
        "stir_per_s": float(rng.uniform(0.3, 1.2)),
    }


def render_frying(p: Parameters, rng: np.random.Generator, n: int, rate: int) -> Signal:
    """Steady high hiss with a rain of tiny crackles."""
    low = p["hiss_tilt_db"]
    hiss = shaped_noise(
        rng, n, rate, ([50, 600, p["hiss_hz"] * 0.5, p["hiss_hz"], 15000, 20000], [-45, low - 14, low, 0, -8, -18])
    )
    impulses = np.zeros(n, dtype=np.float32)
    count = rng.poisson(p["crackles_per_s"] * n / rate)
    where = rng.integers(0, n, count)
    impulses[where] += (rng.standard_normal(count) * np.exp(rng.normal(0, 0.8, count))).astype(np.float32)
    centre = p["crackle_hz"]
    crackles = unit_rms(
        equalised(impulses, rate, ([50, centre * 0.3, centre, centre * 1.8, 20000], [-50, -18, 0, -6, -24]))
    )
    return (hiss + np.float32(p["crackle_level"]) * crackles) * slow_curve(rng, n, rate, p["stir_per_s"], 0.7, 1.15)


def draw_water(rng: np.random.Generator) -> Parameters:
    """A tap and what it falls into: broad splash, resonance of the basin, bubbles."""
    return {
        "splash_hz": float(rng.uniform(900, 2600)),
        "splash_tilt_db": float(rng.uniform(-16, -8)),
        "basin_hz": float(rng.uniform(280, 700)),
        "basin_db": float(rng.uniform(0, 9)),
        "bubbles_per_s": float(rng.uniform(15, 60)),
        "bubble_hz": float(rng.uniform(600, 1700)),
        "bubble_level": float(rng.uniform(0.5, 1.4)),
        "flow_per_s": float(rng.uniform(2.0, 7.0)),
    }


def render_water(p: Parameters, rng: np.random.Generator, n: int, rate: int) -> Signal:
    """Broad-band splashing with bubbles: short tones whose pitch rises."""
    centre, tilt, basin = p["splash_hz"], p["splash_tilt_db"], p["basin_hz"]
    splash = shaped_noise(
        rng,
        n,
        rate,
        (
            [40, basin * 0.6, basin, basin * 1.7, centre, centre * 3.0, 14000, 20000],
            [-35, -12, -6 + p["basin_db"], -7, 0, tilt * 0.6, tilt - 8, tilt - 22],
        ),
    )
    splash *= slow_curve(rng, n, rate, p["flow_per_s"], 0.55, 1.3)
    bubbles = np.zeros(n, dtype=np.float32)
    shapes = []
    for scale in (0.7, 0.9, 1.15, 1.5):
        length = int(0.035 / scale * rate)
        rise = np.linspace(1.0, 1.6, length) * p["bubble_hz"] * scale
        shapes.append(
            (np.sin(2 * np.pi * np.cumsum(rise) / rate) * np.exp(-3.5 * np.linspace(0, 1, length))).astype(np.float32)
        )
    for position in rng.integers(0, n, rng.poisson(p["bubbles_per_s"] * n / rate)):
        add_at(bubbles, int(position), shapes[int(rng.integers(4))], np.exp(rng.normal(0, 0.5)))
    return splash + np.float32(p["bubble_level"]) * unit_rms(bubbles)


def draw_clock(rng: np.random.Generator) -> Parameters:
    """A clock: tempo, two tick colours."""
    return {
        "ticks_per_s": float(rng.choice([1.0, 2.0, 4.0]) * rng.uniform(0.97, 1.03)),
        "tick_hz": float(rng.uniform(2200, 5500)),
        "tock": float(rng.uniform(0.75, 0.97)),
        "decay_s": float(rng.uniform(0.004, 0.012)),
    }


def render_clock(p: Parameters, rng: np.random.Generator, n: int, rate: int) -> Signal:
    """Ticks and tocks."""
    out = np.zeros(n, dtype=np.float32)
    length = int(0.06 * rate)
    for i, position in enumerate(np.arange(0, n, rate / p["ticks_per_s"]).astype(int)):
        centre = p["tick_hz"] * (p["tock"] if i % 2 else 1.0)
        tick = modes([centre, centre * 1.9], [p["decay_s"], p["decay_s"] / 2], [1.0, 0.5], length, rate)
        add_at(out, int(position), tick, rng.uniform(0.85, 1.1))
    return out


def draw_crickets(rng: np.random.Generator) -> Parameters:
    """A cricket: song pitch, chirps a second, pulses in a chirp."""
    return {
        "song_hz": float(rng.uniform(3800, 6800)),
        "chirps_per_s": float(rng.uniform(1.2, 3.0)),
        "pulses_per_s": float(rng.uniform(22, 45)),
        "duty": float(rng.uniform(0.3, 0.6)),
    }


def render_crickets(p: Parameters, rng: np.random.Generator, n: int, rate: int) -> Signal:
    """A high tone in fast pulses, grouped into chirps."""
    t = np.arange(n, dtype=np.float32) / rate
    chirp = (t * np.float32(p["chirps_per_s"])) % 1.0 < p["duty"]
    pulses = np.clip(np.sin(np.float32(2 * np.pi * p["pulses_per_s"]) * t), 0, None)
    return (np.sin(np.float32(2 * np.pi * p["song_hz"]) * t) * pulses * chirp).astype(np.float32)


def draw_rain(rng: np.random.Generator) -> Parameters:
    """Rain: colour and density of drops."""
    return {
        "colour_hz": float(rng.uniform(5000, 9000)),
        "drops_per_s": float(rng.uniform(300, 1200)),
        "drop_hz": float(rng.uniform(1500, 3500)),
        "drop_level": float(rng.uniform(0.3, 0.8)),
    }


def render_rain(p: Parameters, rng: np.random.Generator, n: int, rate: int) -> Signal:
    """Even noise with many soft drops."""
    noise = shaped_noise(rng, n, rate, ([50, 500, 2000, p["colour_hz"], 20000], [-25, -10, -3, 0, -8]))
    drops = np.zeros(n, dtype=np.float32)
    count = rng.poisson(p["drops_per_s"] * n / rate)
    drops[rng.integers(0, n, count)] += rng.standard_normal(count).astype(np.float32)
    centre = p["drop_hz"]
    drops = unit_rms(equalised(drops, rate, ([50, centre * 0.5, centre, centre * 2, 20000], [-40, -14, 0, -10, -30])))
    return noise + np.float32(p["drop_level"]) * drops


def draw_knock(rng: np.random.Generator) -> Parameters:
    """A door and a hand: modes of the wood, tempo."""
    return {
        "wood_hz": float(rng.uniform(110, 320)),
        "decay_s": float(rng.uniform(0.02, 0.06)),
        "knocks_per_s": float(rng.uniform(3.0, 6.5)),
        "knocks": float(rng.integers(3, 6)),
    }


def render_knock(p: Parameters, rng: np.random.Generator, n: int, rate: int) -> Signal:
    """Groups of dull knocks."""
    out = np.zeros(n, dtype=np.float32)
    length = int(0.3 * rate)
    wood = p["wood_hz"] * np.array([1.0, 1.9, 2.7, 4.1])
    knock = modes(wood, p["decay_s"] * np.array([1.0, 0.7, 0.5, 0.3]), [1.0, 0.7, 0.5, 0.3], length, rate)
    position = 0
    while position < n:
        for _ in range(int(p["knocks"])):
            add_at(out, position, knock, rng.uniform(0.7, 1.1))
            position += int(rate / p["knocks_per_s"] * rng.uniform(0.9, 1.1))
        position += int(rate * rng.uniform(0.5, 1.0))
    return out


def draw_siren(rng: np.random.Generator) -> Parameters:
    """A far siren: range and speed of the sweep."""
    return {
        "low_hz": float(rng.uniform(400, 650)),
        "octaves": float(rng.uniform(0.8, 1.3)),
        "sweeps_per_s": float(rng.uniform(0.2, 0.6)),
        "sharpness": float(rng.uniform(1.0, 4.0)),
    }


def render_siren(p: Parameters, rng: np.random.Generator, n: int, rate: int) -> Signal:
    """A slow wail."""
    t = np.arange(n) / rate
    sweep = 0.5 - 0.5 * np.cos(2 * np.pi * (p["sweeps_per_s"] * t + rng.random()))
    return pulse_train(p["low_hz"] * 2.0 ** (p["octaves"] * sweep), n, rate, p["sharpness"]) * ramps(n, rate, 0.2, 0.3)
