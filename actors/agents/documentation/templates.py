"""The pages of the API reference, as Jinja2 templates that write Markdown."""

from typing import Final

MARK: Final = "<!-- Made by beadflow from the code: what is changed here by hand is lost. -->"
"""The first line of each page. A page without it is somebody's own and is never replaced."""

THING: Final = """\
{% macro show(thing, owner, level) %}
{{ "#" * level }} {{ thing.path[owner|length + 1:] }}

```python
{{ declaration(thing) }}
```

{{ body(thing) }}
{% for member in described(thing.members) %}
{{ show(member, owner, level + 1) }}
{% endfor %}
{% if fields(thing.members) %}
| Attribute | |
| --- | --- |
{% for member in fields(thing.members) %}
| `{{ cell(member.signature) }}` | {{ cell(first_line(member.docstring)) }} |
{% endfor %}

{% endif %}
{% endmacro %}
{% macro body(thing) %}
{% for section in thing.sections %}
{% if section.text %}
{% if section.title %}
**{{ section.title }}**

{% endif %}
{{ section.text }}

{% endif %}
{% if section.rows %}
| {{ section.title }} | |
| --- | --- |
{% for row in section.rows %}
| {{ cell(label(row)) }} | {{ cell(row.description) }} |
{% endfor %}

{% endif %}
{% endfor %}
{% endmacro %}
"""

MODULE: Final = """\
{% from "thing" import show, body %}
{{ mark }}

# {{ module.path }}

{{ body(module) }}
{% for thing in described(module.members) %}
{{ show(thing, module.path, 2) }}
{% endfor %}
{% if fields(module.members) %}
## Attributes

| Attribute | |
| --- | --- |
{% for member in fields(module.members) %}
| `{{ cell(member.signature) }}` | {{ cell(first_line(member.docstring)) }} |
{% endfor %}
{% endif %}
"""

INDEX: Final = """\
{{ mark }}

# {{ title }}

{% if others %}
{% for page, name in others %}
- [{{ name }}]({{ page }})
{% endfor %}

{% endif %}
| Module | |
| --- | --- |
{% for module in modules %}
| [{{ module.path }}]({{ file_name(module) }}) | {{ cell(first_line(module.docstring)) }} |
{% endfor %}

{% if graph %}
## Imports

An arrow leads from a module to one that it imports.

```mermaid
{{ graph }}
```
{% endif %}
"""

COMMANDS: Final = """\
{{ mark }}

# Commands

{% if scripts %}
| Command | Function |
| --- | --- |
{% for name, function in scripts %}
| `{{ cell(name) }}` | `{{ cell(function) }}` |
{% endfor %}

{% endif %}
{% if options %}
## Options

| Option | Default | | Where |
| --- | --- | --- | --- |
{% for option in options %}
| `{{ cell(option.names|join(", ")) }}` | {{ code(option.default) }} | {{ cell(option.description) }} | {{ option.place.path }} |
{% endfor %}
{% endif %}
"""  # noqa: E501 - a row of a table is one line

SETTINGS: Final = """\
{% from "thing" import body %}
{{ mark }}

# Settings

{% if variables %}
## Environment

| Variable | Default | Where |
| --- | --- | --- |
{% for option in variables %}
| `{{ cell(option.names[0]) }}` | {{ code(option.default) }} | {{ option.place.path }} |
{% endfor %}

{% endif %}
{% for thing in classes %}
## {{ thing.path }}

{{ body(thing) }}
| Field | |
| --- | --- |
{% for member in fields(thing.members) %}
| `{{ cell(member.signature) }}` | {{ cell(first_line(member.docstring)) }} |
{% endfor %}

{% endfor %}
"""
