namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>
/// A number of tokens that every common tokenizer exceeds, for a first warning while no model is chosen:
/// a word (letters or digits up to the next break) is at least one token and at least an eighth of its length, a Chinese character
/// half of one, other signs a quarter. Lengths that decide anything are counted with the model.
/// </summary>
internal static class TokenEstimate
{
    public static int AtLeast(ReadOnlySpan<char> text)
    {
        int quarters = 0, word = 0;
        foreach (var c in text)
        {
            if (char.IsAsciiLetterOrDigit(c) || c is > '\u00BF' and < '\u2000')
            {
                word++;
                continue;
            }
            if (word > 0) quarters += Math.Max(4, word / 2);
            word = 0;
            if (c > '\u2E7F') quarters += 2;
            else if (c != ' ' && c != '\n') quarters++;
        }
        if (word > 0) quarters += Math.Max(4, word / 2);
        return quarters / 4;
    }
}
