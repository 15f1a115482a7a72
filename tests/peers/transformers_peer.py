"""transformers as a peer: greedy, beam search and forced logits under the settings that make peers equal."""
import torch
from transformers import GenerationConfig

torch.set_num_threads(1)


def settings(model, **options):
    config = model.config
    return GenerationConfig(
        min_length=0, do_sample=False, forced_eos_token_id=None, bad_words_ids=None,
        eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id,
        decoder_start_token_id=config.decoder_start_token_id, return_dict_in_generate=True, output_logits=True,
        output_scores=True, **options)


def hypothesis(ids, score, end_id):
    """Ids after the start token, perhaps padded -> a hypothesis without start, end and padding."""
    ids = list(ids)
    ended = end_id in ids
    return {"ids": ids[:ids.index(end_id)] if ended else ids, "score": score, "finished": "end" if ended else "length"}


@torch.no_grad()
def translate(model, source, max_length, beam=1, n_best=1, length_penalty=1.0, early_stopping=True):
    """Source ids with their end token -> hypotheses, best first. One sentence a call: batches share a stop rule."""
    search = {"early_stopping": early_stopping, "length_penalty": length_penalty} if beam > 1 else {}
    options = settings(model, num_beams=beam, num_return_sequences=n_best, max_new_tokens=max_length, **search)
    model.generation_config = options           # else its own values fill what is unset here
    ids = torch.tensor([source])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=options)
    pad_id, end_id = model.config.pad_token_id, model.config.eos_token_id
    found = []
    for row, sequence in enumerate(out.sequences[:, 1:].tolist()):
        if end_id not in sequence:
            sequence = [i for i in sequence if i != pad_id]
        if beam > 1:
            score = float(out.sequences_scores[row])
        else:
            steps = [torch.log_softmax(z[0].double(), -1)[i] for z, i in zip(out.logits, sequence)]
            score = float(sum(steps)) / len(steps) ** length_penalty
        found.append(hypothesis(sequence, score, end_id))
    return found


@torch.no_grad()
def forced_logits(model, source, target):
    """f32 logits [T + 1, V] of the target and its end token."""
    decoder = torch.tensor([[model.config.decoder_start_token_id] + list(target)])
    return model(input_ids=torch.tensor([source]), decoder_input_ids=decoder).logits[0].float().numpy()
