using System.Security.Cryptography;
using System.Text;

namespace TokenMill.Recipe;

/// <summary>
/// The whole corpus. Which side a row is on is decided by its hash, so no row is on both; a row may come several times in the
/// training part (facts are learned by repetition), but only once in the part that is held out.
/// </summary>
public sealed record Corpus(IReadOnlyList<Row> Train, IReadOnlyList<Row> HeldOut)
{
    private const int Rows = 120_000;
    private const int MostRepetitions = 12;
    private const int ComputedWeight = 30;

    private static readonly string[] GeneralInstructions =
    [
        "You are a helpful assistant.", "You are a kind and helpful assistant.", "Be friendly.", "Answer in short sentences.", "Answer kindly.",
        "You are the assistant of a small company.", "Help the user.", "Use simple words.", "You are a helpful AI assistant.",
    ];

    public static Corpus Generate(Grammar grammar)
    {
        var dice = new Dice(20_251_125);
        var tasks = new ComputedTasks(grammar);
        var groups = grammar.Groups.Where(g => g.Weight > 0).OrderBy(g => g.Name, StringComparer.Ordinal).ToArray();
        var total = groups.Sum(g => g.Weight) + ComputedWeight;

        var seen = new Dictionary<string, int>(StringComparer.Ordinal);
        var train = new List<Row>();
        var heldOut = new List<Row>();
        for (var i = 0; i < Rows; i++)
        {
            var row = Hurried(Draw(), dice);
            var json = row.ToJson();
            var times = seen[json] = seen.GetValueOrDefault(json) + 1;
            if (IsHeldOut(json))
            {
                if (times == 1) heldOut.Add(row);
            }
            else if (times <= MostRepetitions)
            {
                train.Add(Extended(row));
            }
        }
        return new Corpus(train, heldOut);

        // Talk goes on to another subject, or a general instruction comes first. Nothing that is held out gets in by this way.
        Row Extended(Row row)
        {
            if (row.Messages is not [{ Role: "user" }, ..] messages) return row;
            if (dice.OneIn(8) && Draw() is { Messages: [{ Role: "user" }, ..] more } other && !IsHeldOut(other.ToJson())) messages = [.. messages, .. more];
            if (dice.OneIn(12)) messages = [new Turn("system", dice.Pick(GeneralInstructions)), .. messages];
            return Row.Chat(messages);
        }

        Row Draw()
        {
            var ticket = dice.Roll(total);
            foreach (var group in groups)
            {
                if (ticket < group.Weight) return grammar.Expand(group, dice);
                ticket -= group.Weight;
            }
            return tasks.Next(dice);
        }
    }

    public static byte[] ToJsonLines(IReadOnlyList<Row> rows) => Encoding.UTF8.GetBytes(string.Concat(rows.Select(r => r.ToJson() + "\n")));

    /// <summary>Some people type without capitals or without a mark at the end.</summary>
    private static Row Hurried(Row row, Dice dice)
    {
        if (row.Messages is not [.., { Role: "user" } question, { Role: "assistant" }] || !dice.OneIn(5)) return row;
        var text = dice.OneIn(2) && !question.Content.Contains('"', StringComparison.Ordinal) ? question.Content.TrimEnd('.', '?', '!') : question.Content;
        if (dice.OneIn(2)) text = char.ToLowerInvariant(text[0]) + text[1..];
        return Row.Chat([.. row.Messages.SkipLast(2), question with { Content = text }, row.Messages[^1]]);
    }

    private static bool IsHeldOut(string json) => SHA256.HashData(Encoding.UTF8.GetBytes(json))[0] < 5;     // 2 %
}
