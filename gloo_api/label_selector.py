"""Conditions on labels, as Gateways use them for VirtualServices and delegating routes for RouteTables. Kubernetes' own rules, Gloo's spelling."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from gloo_api.meta import StrictModel


class Operator(StrEnum):
    """How a label is compared."""

    EQUALS = "Equals"
    DOUBLE_EQUALS = "DoubleEquals"
    NOT_EQUALS = "NotEquals"
    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GREATER_THAN = "GreaterThan"
    LESS_THAN = "LessThan"


_NO_VALUE = (Operator.EXISTS, Operator.DOES_NOT_EXIST)
_ANY_VALUES = (Operator.IN, Operator.NOT_IN)
_NUMBER = (Operator.GREATER_THAN, Operator.LESS_THAN)


class Expression(StrictModel):
    """One condition on one label."""

    key: str = Field(min_length=1, description="Name of the label.")
    operator: Operator = Field(
        Operator.EQUALS, description="How it is compared. NotEquals and NotIn hold too where the label is missing. Default: Equals."
    )
    values: tuple[str, ...] = Field(
        (), description="What it is compared with: one value, any number for In and NotIn, none for Exists and DoesNotExist."
    )

    @model_validator(mode="after")
    def _values_fit(self) -> Self:
        count = len(self.values)
        if self.operator in _NO_VALUE and count:
            raise ValueError(f"{self.operator} takes no values, not {count}")
        if self.operator in _ANY_VALUES and not count:
            raise ValueError(f"{self.operator} takes at least one value")
        if self.operator not in (*_NO_VALUE, *_ANY_VALUES) and count != 1:
            raise ValueError(f"{self.operator} takes exactly one value, not {count}")
        if self.operator in _NUMBER and not re.fullmatch("-?[0-9]+", self.values[0]):
            raise ValueError(f'{self.operator} takes a whole number, not "{self.values[0]}"')
        return self

    def holds(self, labels: dict[str, str]) -> bool:
        """Whether an object with these labels meets the condition."""
        found = labels.get(self.key)
        match self.operator:
            case Operator.EXISTS:
                return found is not None
            case Operator.DOES_NOT_EXIST:
                return found is None
            case Operator.NOT_EQUALS | Operator.NOT_IN:
                return found not in self.values
            case Operator.GREATER_THAN | Operator.LESS_THAN:
                if found is None or not re.fullmatch("-?[0-9]+", found):
                    return False
                difference = int(found) - int(self.values[0])
                return difference > 0 if self.operator is Operator.GREATER_THAN else difference < 0
            case _:
                return found in self.values


def all_hold(expressions: tuple[Expression, ...], labels: dict[str, str]) -> bool:
    return all(expression.holds(labels) for expression in expressions)
