"""The dashboard, on this machine: make a web call, hear the agent, see all.

From the page inwards::

    page/       what the browser runs: modules and web components, as they are
    access      who may use it; proxy: a tile of Jupyter's launcher
    app         the page and its socket; tab: what one page is told
    commands    what a page may ask
    desk        what all pages share; it obeys the commands; jobs: what it does in the background
    live_call   one call while it goes on; view: what pages see of it; history: calls on disk
    sound       who speaks and who listens, and on which page
    speaker     the agent's voice in pieces; mouth: the kit's own voice
    ears        the caller's voice; weights: that its models, and the mouth's, are the known ones
    judging     a server, by a check_run or a scenario_run; compared: two calls, side by side
    lesson      what there is to try

A frame from a server lands in the call's record, as with every caller of the simulator; `live_call`
has it written to disk, `view` makes a row of it, and each `tab` sends the row to its page. What the
frame has changed in the call, words and times, `live_call` tells twenty times a second.

This module hands on no name: Jupyter looks into `proxy` at its start, and should not wait for the
rest to be imported.
"""
