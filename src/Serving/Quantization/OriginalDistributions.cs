using System.Runtime.InteropServices;

namespace TokenMill.Serving.Quantization;

/// <summary>
/// What the original gives to every token of the vocabulary wherever one is scored: log-probabilities in single precision, in a file,
/// since a thousand of them outgrow memory with large vocabularies. Written once in order, then read in the same order for each variant.
/// </summary>
internal sealed class OriginalDistributions(string path) : IDisposable
{
    private readonly FileStream _file = new(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, 1 << 20, FileOptions.DeleteOnClose);
    private float[] _row = [];

    public void Write(ReadOnlySpan<float> logits, double logOfSum)
    {
        if (_row.Length != logits.Length) _row = new float[logits.Length];
        for (var i = 0; i < logits.Length; i++) _row[i] = (float)(logits[i] - logOfSum);
        _file.Write(MemoryMarshal.AsBytes(_row.AsSpan()));
    }

    public void Rewind() => _file.Position = 0;

    /// <summary>Valid until the next one is read.</summary>
    public ReadOnlySpan<float> Next()
    {
        _file.ReadExactly(MemoryMarshal.AsBytes(_row.AsSpan()));
        return _row;
    }

    public void Dispose() => _file.Dispose();
}
