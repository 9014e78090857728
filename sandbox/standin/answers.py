"""What the HTTP listeners of the Webitel services say (`facts/observed.md` 3; the programs' own apis/*.go)."""

from .words import Answer

JSON = "application/json"
NOT_FOUND = Answer("/", 404, "404 page not found\n")
STORAGE_NOT_FOUND = Answer(
    "/",
    404,
    '{"id":"api.context.404.app_error","status":"Not Found","detail":"There doesn\'t appear to be an api call for '
    'the url","code":404}',
    JSON,
)
NO_SESSION = '{"id":"api.context.session_expired.app_error","status":"Internal Server Error","detail":"UserRequired","code":500}'
NO_SIGNATURE = '{"id":"api.context.invalid_url_param.app_error","status":"Bad Request","detail":"","code":400}'
STORAGE_FILES = (
    Answer("/api/v2/media", 500, NO_SESSION, JSON, ("POST",)),
    *(
        Answer(f"/api/v2/{kind}/*/{verb}", 500, NO_SESSION, JSON, ("GET",))
        for kind in ("media", "recordings", "file")
        for verb in ("stream", "download")
    ),
    Answer("/api/v2/file/*/upload", 500, NO_SESSION, JSON, ("POST",)),
    Answer("/api/v2/file/*/transcript", 500, NO_SESSION, JSON, ("GET",)),
    Answer("/api/v2/tts/stream", 500, NO_SESSION, JSON, ("GET",)),
    *(
        Answer(f"/api/v2/any/file{name}/{verb}", 400, NO_SIGNATURE, JSON, ("GET",))
        for name in ("", "/*")
        for verb in ("stream", "download")
    ),
)
"""The paths of its public interface that a browser uses, and what they say without log-in (apis/*.go)."""
ENGINE = (
    NOT_FOUND,
    Answer("/websocket", 400, "Bad Request\n", upgrades=True),
    Answer("/appointments/*", 404, "appointment", JSON, ("GET", "POST", "DELETE")),
    Answer("/endpoint/oauth2/*/callback", 400, '{"id":"api.context.invalid_url_param.app_error","code":400}', JSON, ("GET",)),
)
"""`appointment` is asked of the database."""
API_NOT_FOUND = Answer("/", 404, '{"id":"api.not_found","code":404,"detail":"not found","status":"Not Found"}', JSON)
API = (
    API_NOT_FOUND,
    Answer("/srvinfo", 200, "srvinfo", JSON),
    Answer("/userinfo", 401, '{"id":"api.unauthorized","code":401,"detail":"access denied","status":"Unauthorized"}', JSON),
)
"""Assumed: nobody saw the API gateway."""
