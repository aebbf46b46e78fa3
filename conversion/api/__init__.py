"""The public functions; the command line and the fixtures are callers of the same parts.

A model may be a subject's name, a path, or a `keras.Model` in memory. That one is saved to a
temporary folder for as long as the call takes, and the subject has the model's own name; data may
be arrays. See docs/python.md.
"""

from conversion.api.choosing import Searched as Searched
from conversion.api.choosing import search as search
from conversion.api.detecting import Detection as Detection
from conversion.api.detecting import listed_faults as listed_faults
from conversion.api.detecting import power as power
from conversion.api.judging import Verification as Verification
from conversion.api.judging import evaluate as evaluate
from conversion.api.judging import verify as verify
from conversion.api.making import convert as convert
from conversion.api.making import quantize as quantize
