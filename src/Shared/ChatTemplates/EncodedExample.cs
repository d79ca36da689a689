namespace TokenMill.Shared.ChatTemplates;

/// <summary>
/// One sequence to learn from. <c>Labels[t]</c> belongs to <c>Ids[t]</c>: the id itself where it is learned (predicted from the tokens before it),
/// <see cref="Unsupervised"/> where it is only read.
/// </summary>
public readonly record struct EncodedExample(int[] Ids, int[] Labels)
{
    public const int Unsupervised = -100;

    /// <summary>How much the loss of each token counts, by its place; null where all that are learned count alike.</summary>
    public float[]? Weights { get; init; }

    /// <summary>The tokens of a range.</summary>
    public EncodedExample this[Range range] => new(Ids[range], Labels[range]) { Weights = Weights?[range] };

    /// <summary>Tokens that carry a loss; the first token never does, since nothing stands before it.</summary>
    public int SupervisedTokens
    {
        get
        {
            var count = 0;
            for (var t = 1; t < Labels.Length; t++) count += Labels[t] == Unsupervised ? 0 : 1;
            return count;
        }
    }
}
