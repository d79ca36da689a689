using System.Runtime.CompilerServices;
using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates;

/// <summary>
/// What one parse or one rendering may spend, so that a hostile template ends within 200 ms and 64 MB:
/// steps (one per node evaluated, item visited or 8 characters read or written), bytes of values made (counted when made, never given back)
/// and depth of nested calls. The allowance grows with the size of the conversation, since honest work does too.
/// </summary>
internal sealed class Budget(long inputCharacters)
{
    private const long BaseSteps = 150_000, StepsPerCharacter = 40;
    private const long BaseBytes = 20L << 20, BytesPerCharacter = 64;
    private const int MaxDepth = 400;
    private const int CharactersPerStep = 8;

    /// <summary>Longest template source in UTF-16 units; the largest published ones have about 20,000.</summary>
    public const int MaxSourceLength = 1 << 17;

    private readonly long _allowedSteps = BaseSteps + StepsPerCharacter * inputCharacters;
    private long _steps = BaseSteps + StepsPerCharacter * inputCharacters;
    private long _bytes = BaseBytes + BytesPerCharacter * inputCharacters;
    private int _depth;

    public long StepsUsed => _allowedSteps - _steps;

    public void Step(long count = 1)
    {
        if ((_steps -= count) < 0) throw TemplateException.OverBudget("steps");
    }

    /// <summary>Called before a text of so many characters is made.</summary>
    public void Text(long characters)
    {
        Step(1 + characters / CharactersPerStep);
        Bytes(characters * sizeof(char));
    }

    /// <summary>Called before work that looks at a whole value: long texts and large numbers cost more.</summary>
    public void Look(Value value) => Step(value switch
    {
        TextValue text => 1 + text.Text.Length / CharactersPerStep,
        IntegerValue number => 1 + number.Number.GetBitLength() / CharactersPerStep,
        _ => 1,
    });

    /// <summary>Called before a list or mapping of so many entries is made.</summary>
    public void Items(long count)
    {
        Step(count);
        Bytes(count * 3 * IntPtr.Size);
    }

    private void Bytes(long count)
    {
        if ((_bytes -= count) < 0) throw TemplateException.OverBudget("memory");
    }

    /// <summary>One level deeper. An exception ends the whole rendering, so <see cref="Leave"/> needs no finally.</summary>
    public void Enter()
    {
        if (++_depth > MaxDepth || !RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw TemplateException.OverBudget("depth");
    }

    public void Leave() => _depth--;
}
