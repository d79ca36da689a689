using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using TokenMill.Shared.ChatTemplates;

namespace TokenMill.Training.Data;

/// <summary>
/// Encoded examples in a file that has no name: four bytes a token on disk (the page cache keeps what is used), twenty bytes an example in memory.
/// Written once from end to end, then read at random from any thread. The file vanishes with the process, however that ends.
/// </summary>
public sealed class ExampleStore : IDisposable
{
    private const int BufferTokens = 1 << 18;

    private readonly SafeFileHandle _file;
    private readonly List<long> _offsets = [];              // in integers
    private readonly List<int> _rows = [];
    private readonly List<int> _lengths = [];               // tokens; negative where labels stand behind the ids
    private int[] _buffer = new int[BufferTokens];
    private int _buffered;
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private long _written;

    /// <param name="folder">Where there is room for the tokens.</param>
    public ExampleStore(string folder)
    {
        Directory.CreateDirectory(folder);
        var path = Path.Combine(folder, $".tokens-{Guid.NewGuid():N}");
        _file = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.Delete, FileOptions.RandomAccess);
        File.Delete(path);
    }

    public int Count => _lengths.Count;
    public long Tokens { get; private set; }
    public long SupervisedTokens { get; private set; }
    public int Longest { get; private set; }

    /// <summary>SHA-256 of everything in the store, once it is complete.</summary>
    public byte[] Fingerprint { get; private set; } = [];

    public int Length(int index) => Math.Abs(_lengths[index]);

    /// <summary>Where the example stood in its file.</summary>
    public int Row(int index) => _rows[index];

    public void Add(EncodedExample example, long row)
    {
        _rows.Add((int)Math.Min(row, int.MaxValue));
        var (ids, labels) = example;
        var plain = true;
        for (var t = 0; t < ids.Length && plain; t++) plain = labels[t] == EncodedExample.Unsupervised || labels[t] == ids[t];
        _offsets.Add(_written + _buffered);
        _lengths.Add(plain ? ids.Length : -ids.Length);
        for (var t = 0; t < ids.Length; t++) Append(plain && labels[t] == ids[t] ? ~ids[t] : ids[t]);     // a supervised id is stored as its complement
        if (!plain) foreach (var label in labels) Append(label);
        Tokens += ids.Length;
        SupervisedTokens += example.SupervisedTokens;
        Longest = Math.Max(Longest, ids.Length);
    }

    /// <summary>Ends the writing; before it nothing can be read.</summary>
    public void Complete()
    {
        Flush();
        _buffer = [];
        _hash.AppendData(MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(_lengths)));
        Fingerprint = _hash.GetHashAndReset();
    }

    public EncodedExample this[int index]
    {
        get
        {
            var plain = _lengths[index] >= 0;
            var length = Length(index);
            var ids = new int[plain ? length : length * 2];
            Read(ids, _offsets[index]);
            if (!plain) return new EncodedExample(ids[..length], ids[length..]);
            var labels = new int[length];
            for (var t = 0; t < length; t++)
            {
                labels[t] = ids[t] < 0 ? ~ids[t] : EncodedExample.Unsupervised;
                if (ids[t] < 0) ids[t] = ~ids[t];
            }
            return new EncodedExample(ids, labels);
        }
    }

    public void Dispose()
    {
        _file.Dispose();
        _hash.Dispose();
    }

    private void Append(int value)
    {
        if (_buffered == _buffer.Length) Flush();
        _buffer[_buffered++] = value;
    }

    private void Flush()
    {
        var bytes = MemoryMarshal.AsBytes(_buffer.AsSpan(0, _buffered));
        RandomAccess.Write(_file, bytes, _written * sizeof(int));
        _hash.AppendData(bytes);
        _written += _buffered;
        _buffered = 0;
    }

    private void Read(int[] target, long offset)
    {
        var bytes = MemoryMarshal.AsBytes(target.AsSpan());
        for (var done = 0; done < bytes.Length;)
        {
            var read = RandomAccess.Read(_file, bytes[done..], offset * sizeof(int) + done);
            if (read == 0) throw new EndOfStreamException($"the token store ends before example {offset}");
            done += read;
        }
    }
}
