"""Alert rules of nginx and the web applications."""

from __future__ import annotations

from collections.abc import Mapping

from components.model.catalogue.alert import HOUR, MINUTE, Alert, C, critical, down, logs, warning

ALERTS: Mapping[str, tuple[Alert, ...]] = {
    "nginx": (
        down("nginx", C, "The web is away: agents cannot log in or take calls in the browser."),
        critical(
            "WebUnreachable",
            'probe_success{look="web"} == 0',
            MINUTE,
            "From another node the sign-in page is not served: agents cannot log in.",
            logs("nginx"),
        ),
        critical(
            "WebSocketUnreachable",
            'probe_success{look="web_socket"} == 0',
            MINUTE,
            "From another node no SIP web socket opens: agents' phones in the browser do not connect.",
            logs("nginx"),
        ),
        warning(
            "CertificateLate",
            'webitel_machine_warning{check="certificate"} == 1',
            HOUR,
            "The certificate ends soon, and nothing has renewed it: then browsers refuse the web, and phones SIP over TLS.",
        ),
        warning(
            "CertificateUnseen",
            'webitel_machine_healthy{check="certificate"} unless on (node) webitel_certificate_days',
            10 * MINUTE,
            "Nobody knows which certificate is shown, nor when it ends.",
        ),
        critical(
            "CertificateEnds",
            "webitel_certificate_days < 1",
            HOUR,
            "The certificate ends within a day: browsers will refuse the web, and phones SIP over TLS.",
        ),
    ),
    "webitel-web": (down("webitel-web", C, "The sign-in page is not served.", does_it="nginx"),),
}
