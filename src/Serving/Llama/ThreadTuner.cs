using System.Numerics;

namespace TokenMill.Serving.Llama;

/// <summary>
/// Finds how many threads are worth it at the moment. ggml's threads spin until all have arrived, so on a machine whose cores are
/// busy a second thread makes a step slower by an order of magnitude, and that changes while a server runs.
/// It starts with one thread and takes more as long as each doubling is faster. From time to time a few steps are computed with more or
/// fewer threads than usual, so few that they are a twentieth of the time at most; what was faster for steps of their size stays.
/// The best of them counts, since threads that slept, or a moment in which others ran, make single steps slow.
/// </summary>
internal sealed class ThreadTuner
{
    private const int Sizes = 16;                              // steps of 1, 2–3, 4–7, … tokens are compared with their like
    private const int TrialSteps = 3;
    private const double Weight = 0.3, ClearlyFaster = 0.9, Suspicious = 2, Hopeless = 3, TrialShare = 0.05;
    private static readonly TimeSpan First = TimeSpan.FromSeconds(2), Shortest = TimeSpan.FromSeconds(1), Longest = TimeSpan.FromSeconds(60);

    private readonly int _most;
    private readonly TimeProvider _time;
    private readonly double[] _usual = new double[Sizes], _best = new double[Sizes];   // seconds a token with the current count; 0: unknown
    private TimeSpan _interval = TimeSpan.Zero;
    private long _triedAt;
    private bool _tryFewer;
    private int _trialSteps;                                   // of the trial under way; 0: there is none
    private double _trialBest;                                 // time as a share of the usual one

    public ThreadTuner(int most, TimeProvider time)
    {
        (_most, _time, Current) = (most, time, 1);
        _triedAt = time.GetTimestamp();
    }

    public int Current { get; private set; }

    /// <summary>Threads for a step of that many tokens.</summary>
    public int Choose(int tokens)
    {
        if (_most == 1) return 1;
        var size = Size(tokens);
        if (_usual[size] == 0) return Current;
        if (_trialSteps > 0) return Other();
        var interval = IsSuspicious(size) && _interval > Shortest ? Shortest : _interval;
        if (_interval > TimeSpan.Zero && !IsSuspicious(size)) interval = Longer(interval, TimeSpan.FromSeconds(TrialSteps * tokens * _usual[size] / TrialShare));
        return _time.GetElapsedTime(_triedAt) >= interval ? Other() : Current;
    }

    public void Observe(int threads, int tokens, TimeSpan taken)
    {
        var (size, seconds) = (Size(tokens), taken.TotalSeconds / tokens);
        if (threads == Current)
        {
            _usual[size] = _usual[size] == 0 ? seconds : _usual[size] + Weight * (seconds - _usual[size]);
            _best[size] = _best[size] == 0 ? seconds : Math.Min(_best[size], seconds);
            return;
        }
        var share = seconds / _usual[size];
        _trialBest = _trialSteps++ == 0 ? share : Math.Min(_trialBest, share);
        if (_trialBest >= ClearlyFaster && _trialSteps < TrialSteps && share < Hopeless) return;
        _trialSteps = 0;
        _triedAt = _time.GetTimestamp();
        if (_trialBest >= ClearlyFaster)
        {
            _tryFewer = !_tryFewer;
            _interval = _interval == TimeSpan.Zero ? First : _interval * 2 < Longest ? _interval * 2 : Longest;
            return;
        }
        Current = threads;
        Array.Clear(_usual);
        Array.Clear(_best);
        _usual[size] = _best[size] = seconds;
        if (_interval > TimeSpan.Zero) _interval = First;
    }

    private bool IsSuspicious(int size) => _usual[size] > Suspicious * _best[size];

    private int Other() => Current == 1 ? Math.Min(2, _most) : Current == _most || _tryFewer ? Current / 2 : Math.Min(Current * 2, _most);

    private static TimeSpan Longer(TimeSpan a, TimeSpan b) => a > b ? a : b;

    private static int Size(int tokens) => Math.Min(BitOperations.Log2((uint)tokens), Sizes - 1);
}
