namespace TokenMill.Serving.Sampling;

/// <summary>A piece of an answer's text.</summary>
/// <param name="TokenCount">Tokens sampled since the piece before.</param>
/// <param name="Logprobs">Of the tokens that it is made of, where they are wanted.</param>
public readonly record struct AnswerPart(string Text, int TokenCount, IReadOnlyList<TokenLogprob> Logprobs);
