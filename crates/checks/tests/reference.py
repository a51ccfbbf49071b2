"""Scores of the reference programs for the pairs on standard input.

Reads JSON lines {"answer", "references"}; prints JSON lines with what
`rouge-score` and `sacrebleu` say, and exact match and F1 as the SQuAD paper
defines them.
"""

import collections
import json
import re
import string
import sys

from rouge_score import rouge_scorer
from sacrebleu.metrics import BLEU

ROUGE = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)
SENTENCE_BLEU = BLEU(effective_order=True)
ARTICLES = re.compile(r"\b(?:the|an|a)\b")


def squad_words(text):
    kept = "".join(c for c in text.lower() if c not in string.punctuation)
    return ARTICLES.sub(" ", kept).split()


def squad_f1(answer, reference):
    given, wanted = squad_words(answer), squad_words(reference)
    if not given or not wanted:
        return float(given == wanted)
    common = sum((collections.Counter(given) & collections.Counter(wanted)).values())
    if common == 0:
        return 0.0
    precision, recall = common / len(given), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


for line in sys.stdin:
    pair = json.loads(line)
    answer, references = pair["answer"], pair["references"]
    rouge = [ROUGE.score(reference, answer) for reference in references]
    best = {kind: max(score[kind].fmeasure for score in rouge) for kind in rouge[0]}
    print(
        json.dumps(
            {
                "rouge1": best["rouge1"],
                "rouge2": best["rouge2"],
                "rouge_l": best["rougeL"],
                "recall": max(score["rouge1"].recall for score in rouge),
                "bleu": SENTENCE_BLEU.sentence_score(answer, references).score / 100,
                "exact_match": max(
                    float(squad_words(answer) == squad_words(reference)) for reference in references
                ),
                "f1": max(squad_f1(answer, reference) for reference in references),
            }
        )
    )
