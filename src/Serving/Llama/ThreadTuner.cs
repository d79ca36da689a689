using System.Numerics;

namespace TokenMill.Serving.Llama;

/// <summary>
/// Finds how many threads are worth it at the moment. ggml's threads spin until all have arrived, so on a machine whose cores are
/// busy a second thread makes a step slower by an order of magnitude, and that changes while a server runs.
/// It starts with one thread and takes more as long as each doubling is faster. From time to time one step is computed with more or
/// fewer threads than usual; what was faster for steps of that size stays.
/// </summary>
internal sealed class ThreadTuner
{
    private const int Sizes = 16;                              // steps of 1, 2–3, 4–7, … tokens are compared with their like
    private const double Weight = 0.3, ClearlyFaster = 0.9, Suspicious = 2;
    private static readonly TimeSpan First = TimeSpan.FromSeconds(2), Shortest = TimeSpan.FromSeconds(1), Longest = TimeSpan.FromSeconds(60);

    private readonly int _most;
    private readonly TimeProvider _time;
    private readonly double[] _usual = new double[Sizes], _best = new double[Sizes];   // seconds a token with the current count; 0: unknown
    private TimeSpan _interval = TimeSpan.Zero;
    private long _triedAt;
    private bool _tryFewer;

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
        var due = _time.GetElapsedTime(_triedAt) >= (IsSuspicious(size) && _interval > Shortest ? Shortest : _interval);
        return due && _usual[size] > 0 ? Other() : Current;
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
        _triedAt = _time.GetTimestamp();
        if (seconds >= ClearlyFaster * _usual[size])
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

    private static int Size(int tokens) => Math.Min(BitOperations.Log2((uint)tokens), Sizes - 1);
}
