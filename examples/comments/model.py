"""Is a comment hate speech, offensive, or neither? The text is all that is known.

TF-IDF and a logistic regression, the classes weighed alike: hate speech is the rarest and the one
that matters most. `combined.py` makes the second version: the same, and the word lists.
"""

from data import read_comments

from timonel import Model, Outcome, Policy, Schema, Text, recipes

comments = Model(
    name="comments",
    task="multiclass",
    target="label",
    schema=Schema(Text("text", max_length=1000)),
    source=read_comments,
    recipe=recipes.logistic(class_weight="balanced"),
    fallback="rules:by_words",
    outcome=Outcome(key="comment_id", horizon="30d"),
    # A hidden comment is judged by people as a shown one is.
    outcome_depends_on_action=False,
    policy=Policy(min_samples=200),
)
