namespace TokenMill.Serving.Scheduler;

/// <summary>
/// How far to guess, by how well it went: further after guesses that were all right, not at all for a while after one that was all wrong, and
/// never so far that it does not pay (<see cref="GuessCosts"/>).
/// </summary>
internal sealed class GuessLength
{
    private const int First = 3, Longest = 63, LongestPause = 64, ShortestPause = 2;
    private const double Memory = 0.8, Forgiving = 0.98;

    private int _pause, _nextPause = ShortestPause;
    private double _right, _wrong;                             // tokens lately; of a guess the first wrong one counts

    public int Tokens { get; private set; } = First;

    public bool IsPausing => _pause > 0;

    private double Acceptance => (_right + 1) / (_right + _wrong + 1.5);

    /// <summary>Called before each guess: whether to leave it out.</summary>
    public bool Pauses() => _pause > 0 && _pause-- > 0;

    /// <summary>How many of the found tokens to try. When none pays, next time more may, and past failures count less.</summary>
    public int Paying(int found, GuessCosts costs)
    {
        var count = costs.Choose(found, Acceptance);
        if (found > 0 && count == 0) (Tokens, _wrong) = (Longer(Tokens), Forgiving * _wrong);
        return count;
    }

    public void Observe(int guessed, int right)
    {
        (_right, _wrong) = (Memory * _right + right, Memory * _wrong + (right < guessed ? 1 : 0));
        if (right == 0)
        {
            (Tokens, _pause) = (1, _nextPause);
            _nextPause = Math.Min(2 * _nextPause, LongestPause);
            return;
        }
        _nextPause = ShortestPause;
        Tokens = right == guessed ? Longer(guessed) : right;
    }

    /// <summary>3, 7, 15: with the known token as many rows as kernels like to take at once.</summary>
    private static int Longer(int tokens) => Math.Min(2 * tokens + 1, Longest);
}
