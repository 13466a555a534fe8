"""The table of routes."""

from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from astica_sync.errors import AsticaSyncError, StorageFull
from astica_sync.page.access.access_gate import TooLong
from astica_sync.page.changes import change_routes
from astica_sync.page.gallery import gallery_routes
from astica_sync.page.live import live_routes
from astica_sync.page.page_state import Page
from astica_sync.page.predict import predict_routes
from astica_sync.page.queues import queue_routes
from astica_sync.page.request_response import BadRequest, answer_error, answer_html
from astica_sync.page.versions import version_routes

FULL = "the disk is full"
"""How the error of a database begins whose disk is full."""
STATIC = Path(__file__).parent / "static"


def make_app(page: Page) -> Starlette:
    """The application behind the gate."""
    app = Starlette(
        routes=[
            Route("/", get_index),
            Route("/api/store", gallery_routes.get_store),
            Route("/api/gallery", gallery_routes.get_gallery),
            Route("/api/gallery/counts", gallery_routes.get_counts),
            Route("/api/gallery/rows", gallery_routes.get_rows),
            Route("/api/refresh", gallery_routes.post_refresh, methods=["POST"]),
            Route("/api/images/{image}", gallery_routes.get_image),
            Route("/api/images/{image}/said", gallery_routes.get_said),
            Route("/api/images/{image}/similar", gallery_routes.get_similar),
            Route("/api/events", live_routes.get_events),
            Route("/api/push", live_routes.post_push, methods=["POST"]),
            Route("/api/observe", live_routes.post_observe, methods=["POST"]),
            Route("/api/train", live_routes.post_train, methods=["POST"]),
            Route("/api/changes", change_routes.post_change, methods=["POST"]),
            Route("/api/undo", change_routes.post_undo, methods=["POST"]),
            Route("/api/redo", change_routes.post_redo, methods=["POST"]),
            Route("/api/uploads", change_routes.post_upload, methods=["POST"]),
            Route("/api/preview", predict_routes.get_preview),
            Route("/api/preview", predict_routes.post_preview, methods=["POST"]),
            Route("/api/preview/suspects", predict_routes.get_suspects),
            Route("/api/picture", predict_routes.post_picture, methods=["POST"]),
            Route("/api/detect", predict_routes.post_detect, methods=["POST"]),
            Route("/api/queues", queue_routes.get_queues),
            Route("/api/queues/keep", queue_routes.post_keep, methods=["POST"]),
            Route("/api/versions", version_routes.get_versions),
            Route("/api/versions/diff", version_routes.get_diff),
            Route("/api/versions/confusion", version_routes.get_confusion),
            Route("/api/versions/price", version_routes.get_price),
            Route("/thumbnails/{content}", gallery_routes.get_thumbnail),
            Route("/images/{image}/large", gallery_routes.get_large),
            Mount("/static", StaticFiles(directory=STATIC, check_dir=False)),
        ],
        exception_handlers={
            AsticaSyncError: _on_known_error,
            BadRequest: _on_bad_request,
            TooLong: _on_too_long,
            HTTPException: _on_http_error,
            Exception: _on_bug,
        },
    )
    app.state.page = page
    return app


async def get_index(request: Request) -> Response:
    return answer_html(STATIC / "index.html")


async def _on_known_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AsticaSyncError)
    full = isinstance(error, StorageFull) or str(error).startswith(FULL)
    return answer_error(507 if full else 503, str(error), error.hint)


async def _on_bad_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, BadRequest)
    return answer_error(400, str(error), error.hint)


async def _on_too_long(request: Request, error: Exception) -> Response:
    return answer_error(413, "the request is too long", "Select fewer images.")


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return answer_error(error.status_code, error.detail, "Reload the page.")


async def _on_bug(request: Request, error: Exception) -> Response:
    text = f"internal error: {type(error).__name__}: {error}"
    return answer_error(500, text, "What was done is saved. Please report this.")
