using System.Buffers;
using System.Text;
using System.Text.Unicode;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Llama.Native;

namespace TokenMill.Shared.Llama;

/// <summary>
/// Text to token ids and back, by the vocabulary of a GGUF file. Thread-safe: libllama's vocabulary is read-only.
/// Loading takes only the vocabulary; the weights stay on disk. An engine that has the whole model shares its vocabulary.
/// </summary>
public sealed unsafe class LlamaVocabulary : IDisposable
{
    /// <summary>
    /// Some pre-tokenizers of libllama run on std::regex, which recurses once per character of a run ("aaaa…"):
    /// 40,000 of them overflow a usual stack and end the process. Longer texts get a stack to match (touched only as far as used).
    /// </summary>
    private const int ShortTextBytes = 4_096, StackBytesPerTextByte = 480, MaxTextBytes = 4 << 20;

    private readonly LlamaModelHandle _model;
    private readonly bool _ownsModel;
    private readonly nint _vocab;
    private readonly bool _firstSpaceIsAdded;
    private readonly byte[]?[] _pieces;
    private readonly string?[] _texts;
    private readonly bool[] _endOfGeneration;

    private LlamaVocabulary(LlamaModelHandle model, bool ownsModel)
    {
        _model = model;
        _ownsModel = ownsModel;
        _vocab = LlamaNative.llama_model_get_vocab(model);
        Count = LlamaNative.llama_vocab_n_tokens(_vocab);
        Bos = LlamaNative.llama_vocab_bos(_vocab);
        Eos = LlamaNative.llama_vocab_eos(_vocab);
        Eot = LlamaNative.llama_vocab_eot(_vocab);
        AddsBos = LlamaNative.llama_vocab_get_add_bos(_vocab);
        // SentencePiece models put a space before the first word; decoding takes it off again.
        _firstSpaceIsAdded = Metadata("tokenizer.ggml.model") == "llama" && Metadata("tokenizer.ggml.add_space_prefix") != "false";
        _pieces = new byte[]?[Count];
        _texts = new string?[Count];
        _endOfGeneration = new bool[Count];
        for (var id = 0; id < Count; id++) _endOfGeneration[id] = LlamaNative.llama_vocab_is_eog(_vocab, id);
    }

    /// <summary>Count of tokens.</summary>
    public int Count { get; }

    /// <summary>Begin of sequence, or -1.</summary>
    public int Bos { get; }

    /// <summary>End of sequence, or -1.</summary>
    public int Eos { get; }

    /// <summary>End of turn, or -1 where the model has no token of its own for it.</summary>
    public int Eot { get; }

    /// <summary>True where the model expects <see cref="Bos"/> before plain text.</summary>
    public bool AddsBos { get; }

    /// <exception cref="RefusedException">The file is broken, hostile or contradicts itself; llama-missing; model-rejected: libllama does not take it.</exception>
    public static LlamaVocabulary Load(string ggufPath)
    {
        ModelPath.Require(ggufPath);
        using (var file = GgufFile.Open(ggufPath)) GgufModel.CheckVocabulary(file);
        LlamaLibrary.Load();
        var parameters = LlamaModelHandle.DefaultParameters;
        parameters.vocab_only = 1;
        return new LlamaVocabulary(LlamaModelHandle.Load(ggufPath, parameters), ownsModel: true);
    }

    /// <summary>The vocabulary of a model that is loaded already; it stays the caller's.</summary>
    public static LlamaVocabulary Of(LlamaModelHandle model) => new(model, ownsModel: false);

    /// <summary>
    /// Ids of a text. Any string will do: NUL is a character, half a surrogate pair becomes U+FFFD.
    /// </summary>
    /// <param name="addSpecial">Adds BOS (or EOS) where the model wants it. A rendered chat template has them already.</param>
    /// <param name="parseSpecial">Texts of control tokens become those tokens.</param>
    public int[] Tokenize(string text, bool addSpecial = false, bool parseSpecial = true)
    {
        ObjectDisposedException.ThrowIf(_model.IsClosed, this);
        var utf8 = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetMaxByteCount(text.Length));
        try
        {
            var length = Encoding.UTF8.GetBytes(text, utf8);
            if (length > MaxTextBytes) throw new RefusedException("text-too-long", $"a text of {length} bytes is too long to tokenize at once, {MaxTextBytes} are possible", "cut it into parts");
            if (length <= ShortTextBytes) return Tokenize(utf8.AsSpan(0, length), addSpecial, parseSpecial);

            int[] ids = [];
            var thread = new Thread(() => ids = Tokenize(utf8.AsSpan(0, length), addSpecial, parseSpecial), StackBytes(length)) { IsBackground = true, Name = "tokenize" };
            thread.Start();
            thread.Join();
            return ids;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(utf8);
        }
    }

    /// <summary>The text of tokens, control tokens included. Bytes that are no UTF-8 (a character cut in two) become U+FFFD.</summary>
    public string Decode(ReadOnlySpan<int> ids)
    {
        var bytes = new ArrayBufferWriter<byte>(ids.Length * 4 + 1);
        foreach (var id in ids) bytes.Write(Piece(id));
        var text = bytes.WrittenSpan;
        if (_firstSpaceIsAdded && text.StartsWith(" "u8)) text = text[1..];
        return Encoding.UTF8.GetString(text);
    }

    /// <summary>The bytes of one token, possibly a part of a character.</summary>
    public byte[] Piece(int id)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(id);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(id, Count);
        return _pieces[id] ??= ReadPiece(id);
    }

    /// <summary>The text of one token, always the same object; null where it is a part of a character.</summary>
    public string? Text(int id)
    {
        var piece = Piece(id);
        return _texts[id] ?? (Utf8.IsValid(piece) ? _texts[id] = Encoding.UTF8.GetString(piece) : null);
    }

    /// <summary>True for every token that ends an answer (end of text, end of turn, …).</summary>
    public bool IsEndOfGeneration(int id) => (uint)id < (uint)Count && _endOfGeneration[id];

    /// <summary>True for tokens that are markup, not text.</summary>
    public bool IsControl(int id)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(id);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(id, Count);
        ObjectDisposedException.ThrowIf(_model.IsClosed, this);
        return LlamaNative.llama_vocab_is_control(_vocab, id);
    }

    public void Dispose()
    {
        if (_ownsModel) _model.Dispose();
    }

    private static int StackBytes(int textBytes) => (1 << 20) + textBytes * StackBytesPerTextByte;

    private int[] Tokenize(ReadOnlySpan<byte> utf8, bool addSpecial, bool parseSpecial)
    {
        var ids = new int[utf8.Length / 2 + 8];
        while (true)
        {
            int count;
            fixed (byte* text = utf8)
            fixed (int* idsPointer = ids)
                count = LlamaNative.llama_tokenize(_vocab, text, utf8.Length, idsPointer, ids.Length, addSpecial, parseSpecial);
            if (count >= 0) return ids[..count];
            ids = new int[-count];
        }
    }

    private byte[] ReadPiece(int id)
    {
        ObjectDisposedException.ThrowIf(_model.IsClosed, this);
        Span<byte> buffer = stackalloc byte[64];
        var length = Read(buffer);
        if (length >= 0) return buffer[..length].ToArray();
        var large = new byte[-length];
        Read(large);
        return large;

        int Read(Span<byte> target)
        {
            fixed (byte* pointer = target) return LlamaNative.llama_token_to_piece(_vocab, id, pointer, target.Length, lstrip: 0, special: true);
        }
    }

    private string? Metadata(string key)
    {
        Span<byte> buffer = stackalloc byte[64];
        fixed (byte* pointer = buffer)
        {
            var length = LlamaNative.llama_model_meta_val_str(_model, key, pointer, (nuint)buffer.Length);
            return length < 0 ? null : Encoding.UTF8.GetString(buffer[..Math.Min(length, buffer.Length - 1)]);
        }
    }
}
