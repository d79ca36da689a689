namespace TokenMill.Serving.Sampling;

/// <summary>A piece of an answer's text with the tokens that it is made of, where their log-probabilities are wanted.</summary>
public readonly record struct AnswerPart(string Text, IReadOnlyList<TokenLogprob> Logprobs);
