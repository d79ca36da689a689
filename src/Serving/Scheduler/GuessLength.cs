namespace TokenMill.Serving.Scheduler;

/// <summary>How far to guess, by how well it went: further after guesses that were all right, not at all for a while after one that was all wrong.</summary>
internal sealed class GuessLength
{
    private const int First = 2, LongestPause = 64, ShortestPause = 8;

    private int _pause, _nextPause = ShortestPause;

    public int Tokens { get; private set; } = First;

    public bool IsPausing => _pause > 0;

    /// <summary>Called before each guess: whether to leave it out.</summary>
    public bool Pauses() => _pause > 0 && _pause-- > 0;

    public void Observe(int guessed, int right)
    {
        if (right == 0)
        {
            (Tokens, _pause) = (1, _nextPause);
            _nextPause = Math.Min(2 * _nextPause, LongestPause);
            return;
        }
        _nextPause = ShortestPause;
        Tokens = right == guessed ? 2 * guessed : right;
    }
}
