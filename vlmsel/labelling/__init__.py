"""The label page: a local web page that asks for the right pictures and says when to stop.

    label_book      labels, skips, added classes: a frozen value, one function per action
    label_files     the book on disk, whole at every moment; one process per file
    picked_images   which picture is asked for next, by the order that was chosen
    page_images     a picture as the page shows it, decoded within limits and encoded anew
    request_guard   token, Host, Origin and headers of every request
    page_server     the routes, and the server's thread: the only module with starlette and uvicorn
    page/           one HTML file, its style and its script; nothing from the network

What a label means for the choice of a model is computed in `vlmsel.api.label`.
"""
