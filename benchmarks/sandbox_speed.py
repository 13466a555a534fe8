"""The speed of detection and training in the sandbox, compared with the figures that the service publishes.

    python -m benchmarks.sandbox_speed [FOLDER OF CLASS FOLDERS]

Without a folder it draws photos: noise, shapes and colours at 900 x 1600 pixels.
"""

import base64
import io
import json
import multiprocessing
import os
import platform
import sys
import time
from pathlib import Path

import httpx
import numpy as np
from PIL import Image, ImageDraw

from astica_sync.sandbox.embedded import running

DETECTIONS_PER_SECOND = 144
TRAINING_MS_PER_SAMPLE = 100
CLIENTS = 2
REQUESTS = 400

Pictures = list[tuple[str, bytes]]


def draw_photos(count: int = 60) -> Pictures:
    """JPEG photographs of about 100 kB each, in four classes."""
    random = np.random.default_rng(1)
    photos = []
    for i in range(count):
        noise = random.integers(0, 60, (1600, 900, 3), np.uint8)
        image = Image.fromarray(noise).resize((900, 1600), Image.Resampling.BICUBIC)
        pen = ImageDraw.Draw(image)
        for _ in range(12):
            x, y = (int(value) for value in random.integers(0, 800, 2))
            colour = tuple(int(value) for value in random.integers(0, 255, 3))
            shape = pen.ellipse if i % 2 else pen.rectangle
            shape((x, y, x + 200, y + 150 + 200 * (i % 4 // 2)), fill=colour)
        file = io.BytesIO()
        image.save(file, "JPEG", quality=60)
        photos.append((f"class {i % 4}", file.getvalue()))
    return photos


def read_photos(folder: Path) -> Pictures:
    files = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    return [(path.parent.name, path.read_bytes()) for path in files]


def read_digits() -> Pictures:
    """scikit-learn's handwritten digits, 8 x 8 pixels, as PNG."""
    from sklearn.datasets import load_digits

    data = load_digits()
    pictures = []
    for grid, digit in zip(data.images, data.target, strict=True):
        file = io.BytesIO()
        Image.fromarray((grid * 15.9).astype(np.uint8)).save(file, "PNG")
        pictures.append((str(digit), file.getvalue()))
    return pictures


def ask(url: str, bodies: list[bytes], count: int, spans: "multiprocessing.Queue[tuple[float, float]]") -> None:
    """One client: sends requests one after the other, and reports when it started and ended."""
    headers = {"Content-Type": "application/json"}
    with httpx.Client(trust_env=False, timeout=60) as client:
        client.post(url, content=bodies[0], headers=headers)
        began = time.monotonic()
        for i in range(count):
            answer = client.post(url, content=bodies[i % len(bodies)], headers=headers).json()
            if answer["status"] != "OK":
                raise RuntimeError(answer)
        spans.put((began, time.monotonic()))


def measure_rate(url: str, bodies: list[bytes], clients: int) -> float:
    """Answers per second with ``clients`` clients, each in its own process."""
    spans: multiprocessing.Queue[tuple[float, float]] = multiprocessing.Queue()
    processes = [
        multiprocessing.Process(target=ask, args=(url, bodies, REQUESTS // clients, spans)) for _ in range(clients)
    ]
    for process in processes:
        process.start()
    ends = [spans.get(timeout=300) for _ in processes]
    for process in processes:
        process.join()
    return REQUESTS // clients * clients / (max(end for _, end in ends) - min(begin for begin, _ in ends))


def measure(name: str, pictures: Pictures) -> None:
    size = sum(len(content) for _, content in pictures) / len(pictures) / 1000
    classes = len({title for title, _ in pictures})
    print(f"\n{name}: {len(pictures)} images in {classes} classes, {size:.1f} kB each on average")
    with running(limit=10**9) as box:
        model = box.add_model()
        uploads = [
            {"model_id": model, "model_class": title, "input": base64.b64encode(content).decode()}
            for title, content in pictures
        ]
        bodies = [json.dumps({"tkn": box.key, **upload}).encode() for upload in uploads]
        rate = measure_rate(f"{box.url}/model/upload", bodies, CLIENTS)
        print(f"  uploads     {rate:8.0f} /s with {CLIENTS} clients")

        model = box.add_model()
        for title, content in pictures:
            box.add_sample(model, title, content)
        began = time.monotonic()
        httpx.post(f"{box.url}/model/model_train", json={"tkn": box.key, "model_id": model}, timeout=60)
        box.wait_for_training(600)
        each = (time.monotonic() - began) * 1000 / len(pictures)
        print(
            f"  training    {each:8.1f} ms a sample; target: at most {TRAINING_MS_PER_SAMPLE}; "
            f"{TRAINING_MS_PER_SAMPLE / each:.1f} times as fast"
        )
        (version,) = box.versions(model)
        bodies = [
            json.dumps({"tkn": box.key, "model_version": version, **upload, "model_id": model}).encode()
            for upload in uploads
        ]
        for clients in (1, CLIENTS, 2 * CLIENTS):
            rate = measure_rate(f"{box.url}/detect", bodies, clients)
            print(
                f"  detections  {rate:8.0f} /s with {clients} clients; target: at least {DETECTIONS_PER_SECOND}; "
                f"{rate / DETECTIONS_PER_SECOND:.1f} times as many"
            )


def main() -> None:
    print(
        f"{platform.machine()}, {os.cpu_count()} processors shared by clients and sandbox, "
        f"Python {platform.python_version()}, {time.strftime('%F')}"
    )
    photos = read_photos(Path(sys.argv[1])) if len(sys.argv) > 1 else draw_photos()
    measure("photographs", photos)
    measure("handwritten digits", read_digits())


if __name__ == "__main__":
    main()
