"""Which front end gave a bad answer by itself, told by the pages that it writes, and what each of them means. Pure.

Pages: nginx, src/http/ngx_http_special_response.c; HAProxy, src/http.c (http_err_msgs). What stands behind a front end
may be an nginx too: that one wrote the page is sure, which one is not.
"""

from __future__ import annotations

import re
from typing import Final

from prober.layers.http.envoy import flag_of
from prober.wire.http import Record

#: Bytes of a body that are looked at: their own pages are short.
_LONGEST: Final = 1024
_NGINX: Final = re.compile(rb"<hr><center>(nginx|openresty|tengine)\b", re.IGNORECASE)
#: Status → what it says of an nginx that it gives this page. Others are its own rules and files.
_NGINX_SAYS: Final = {
    502: "what is behind it refused, broke off or did not answer in HTTP",
    503: "there is nothing behind it to ask, or a limit of its own was met",
    504: "what is behind it took no connection, or gave no answer, in time",
}
#: Status and words of HAProxy's pages → what they say.
_HAPROXY: Final = {
    (502, b"The server returned an invalid or incomplete response."): "what is behind it did not answer in HTTP",
    (503, b"No server is available to handle this request."): "no server behind it is up, or takes a connection",
    (504, b"The server didn't respond in time."): "what is behind it gave no answer in time",
    (403, b"Request forbidden by administrative rules."): "a rule of its own denies this",
    (429, b"You have sent too many requests in a given amount of time."): "a limit of its own was met",
}


def front_end_of(record: Record) -> dict[str, str]:
    """Evidence of the front end that gave this (bad) answer: who it is, and what it says of what is behind it.

    Empty where nobody gives himself away.
    """
    if (flag := flag_of(record)) is not None:
        return {"front_end": "envoy", "envoy_flag": flag[0], "envoy_says": flag[1]}
    body = bytes(record.body[:_LONGEST])
    if (page := _NGINX.search(body)) is not None:
        says = _NGINX_SAYS.get(record.status or 0)
        return {"front_end": page[1].decode().lower(), **({"front_end_says": says} if says else {})}
    for (status, words), says in _HAPROXY.items():
        if status == record.status and words in body:
            return {"front_end": "haproxy", "front_end_says": says}
    return {}
