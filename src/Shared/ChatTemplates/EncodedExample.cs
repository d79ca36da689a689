namespace TokenMill.Shared.ChatTemplates;

/// <summary>
/// One sequence to learn from. <c>Labels[t]</c> belongs to <c>Ids[t]</c>: the id itself where it is learned (predicted from the tokens before it),
/// <see cref="Unsupervised"/> where it is only read.
/// </summary>
public readonly record struct EncodedExample(int[] Ids, int[] Labels)
{
    public const int Unsupervised = -100;

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
