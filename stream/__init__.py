"""Every edge of OmniRecall: media in, messages between, people out.

`stream` imports no other package of the project; `perception`, `memory` and
`reasoning` import `stream` and never each other (docs/adr/0001).
"""
