using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Evaluation;

/// <summary>What every operation of one rendering shares.</summary>
internal sealed class Rendering(Budget budget, DateTimeOffset now)
{
    public Budget Budget { get; } = budget;
    public ValueComparer Comparer { get; } = new(budget);
    public DateTimeOffset Now { get; } = now;
}
