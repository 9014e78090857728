"""nginx and the web applications."""

from components.model.catalogue.service import Audience, Bind, Front, Look, OnChange, Probe, Service, tcp

WEBITEL_WEB = Service(
    "webitel-web",
    "Web applications",
    stand_in=True,
    repositories=("webitel",),
    packages=(
        "webitel-auth-app",
        "webitel-admin-app",
        "webitel-agent-workspace",
        "webitel-supervisor-workspace",
        "webitel-flow-diagram",
        "webitel-history",
        "webitel-audit-app",
        "webitel-web-widget",
        "webitel-crm",
    ),
    on_change=OnChange.NOTHING,
    probes=(Probe("https", "the sign-in page is not served", {"path": "/app/auth/", "status": 200}),),
)

NGINX = Service(
    "nginx",
    "nginx",
    packages=("nginx",),
    units=("nginx",),
    on_change=OnChange.RELOAD,
    front=Front.WEB,
    listeners=(
        tcp("http", 80, Audience.INTERNET, bind=Bind.PRIVATE),
        tcp("https", 443, Audience.INTERNET, bind=Bind.PRIVATE),
    ),
    calls=("webitel-api.http", "storage.public", "messages-bot.http", "engine.websocket", "sip-websocket.http", "grafana"),
    secrets=("web_certificate",),
    looks=(Look("web", "https", "/app/auth/"), Look("web_socket", "https")),
    probes=(
        Probe("http", "port 80 does not redirect to https", {"listener": "http", "path": "/", "status": 301}),
        Probe("https", "https is not served", {"path": "/", "status": 200}),
    ),
)

SERVICES = (NGINX, WEBITEL_WEB)
