using System.Text;
using System.Text.RegularExpressions;

namespace TokenMill.Recipe;

/// <summary>
/// The written content of the corpus: tables of words and facts, and blocks of conversations and texts with slots.
/// <code>
/// # a comment
/// [animal: name plural food]        a table: one entry a line, named fields between bars
/// cat | cats | fish
/// [[pets 3]]                        a group of blocks and its weight; blocks end at an empty line
/// @ x=animal, y=animal              binds names to different entries (names already bound keep their entry)
/// $ You are kind.                   the system message
/// ? What does {a x} eat?            the user's turn; more ? lines in a row are other ways to say it
/// ! {A x} eats {x.food}.            the assistant's turn, likewise
/// . Once there was {a x}.           a line of plain text; such lines are joined by spaces
/// </code>
/// Slots: <c>{x}</c> an entry's first field, <c>{x.food}</c> a named one, <c>{animal}</c> a random entry, <c>{x=animal}</c> binds,
/// <c>{one|two|}</c> a choice, <c>{^…}</c> upper case first, <c>{a x}</c> and <c>{A x}</c> with the article, <c>{s x}</c> the plural, <c>\n</c> a new line.
/// </summary>
public sealed partial class Grammar
{
    private readonly Dictionary<string, Table> _tables = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Group> _groups = new(StringComparer.Ordinal);

    private sealed record Table(string[] Fields, List<string[]> Entries);

    private sealed record Entry(Table Table, int Index, string[] Values);

    private sealed record Block(List<(string Name, string Table)> Bindings, List<(char Role, List<string> Ways)> Turns);

    public sealed record Group(string Name, int Weight)
    {
        internal List<object> Items { get; } = [];
    }

    public IReadOnlyCollection<Group> Groups => _groups.Values;

    /// <summary>The fields of every entry of a table, for tasks that are computed.</summary>
    public IReadOnlyList<string[]> Entries(string table) => _tables[table].Entries;

    public static Grammar Load(string folder)
    {
        var grammar = new Grammar();
        foreach (var file in Directory.EnumerateFiles(folder, "*.txt").Order(StringComparer.Ordinal)) grammar.Read(file);
        return grammar;
    }

    /// <summary>Expands one block of a group.</summary>
    public Row Expand(Group group, Dice dice)
    {
        var block = (Block)dice.Pick(group.Items);
        var scope = new Dictionary<string, Entry>(StringComparer.Ordinal);
        Bind(block, scope, dice);
        if (block.Turns.All(t => t.Role == '.')) return Row.Plain(Text(block, scope, dice));
        return Row.Chat([.. block.Turns.Select(t => new Turn(t.Role switch { '$' => "system", '?' => "user", _ => "assistant" }, Fill(dice.Pick(t.Ways), scope, dice)))]);
    }

    private void Read(string file)
    {
        Table? table = null;
        Group? group = null;
        Block? block = null;
        var number = 0;
        foreach (var line in File.ReadLines(file))
        {
            number++;
            if (line.StartsWith('#')) continue;
            if (line.Length == 0)
            {
                block = null;
            }
            else if (line.StartsWith("[[", StringComparison.Ordinal))
            {
                var words = line.Trim('[', ']').Split(' ');
                group = _groups[words[0]] = new Group(words[0], int.Parse(words[1]));
                table = null;
            }
            else if (line[0] == '[')
            {
                var parts = line.Trim('[', ']').Split(':');
                table = _tables[parts[0]] = new Table(parts.Length > 1 ? parts[1].Split(' ', StringSplitOptions.RemoveEmptyEntries) : [], []);
                group = null;
            }
            else if (table is not null)
            {
                var values = Alternatives(line).Select(v => v.Trim()).ToArray();
                if (table.Fields.Length > 0 && values.Length != table.Fields.Length) throw new FormatException($"{file}:{number}: {values.Length} fields, not {table.Fields.Length}");
                table.Entries.Add(values);
            }
            else if (group is not null && line.Length > 2 && line[1] == ' ' && "@$?!.".Contains(line[0], StringComparison.Ordinal))
            {
                if (block is null) group.Items.Add(block = new Block([], []));
                if (line[0] == '@')
                    block.Bindings.AddRange(line[2..].Split(',').Select(b => b.Trim().Split('=')).Select(b => (b[0], b[1])));
                else if (line[0] != '.' && block.Turns.Count > 0 && block.Turns[^1].Role == line[0])
                    block.Turns[^1].Ways.Add(line[2..]);
                else
                    block.Turns.Add((line[0], [line[2..]]));
            }
            else
            {
                throw new FormatException($"{file}:{number}: not understood: {line}");
            }
        }
    }

    private void Bind(Block block, Dictionary<string, Entry> scope, Dice dice)
    {
        foreach (var (name, table) in block.Bindings)
            if (!scope.ContainsKey(name)) scope[name] = Choose(table, scope, dice);
    }

    private Entry Choose(string name, Dictionary<string, Entry> scope, Dice dice)
    {
        var table = _tables.GetValueOrDefault(name) ?? throw new FormatException($"no table '{name}'");
        var index = dice.Roll(table.Entries.Count);
        for (var tries = 0; tries < 20 && scope.Values.Any(e => e.Table == table && e.Index == index); tries++) index = dice.Roll(table.Entries.Count);
        return new Entry(table, index, [.. table.Entries[index].Select(v => Fill(v, scope, dice))]);
    }

    private string Text(Block block, Dictionary<string, Entry> scope, Dice dice) =>
        Gaps().Replace(string.Join(' ', block.Turns.Select(t => Fill(t.Ways[0], scope, dice)).Where(t => t.Length > 0)), "");

    private string Fill(string template, Dictionary<string, Entry> scope, Dice dice)
    {
        var text = new StringBuilder();
        for (var i = 0; i < template.Length; i++)
        {
            if (template[i] == '\\' && i + 1 < template.Length && template[i + 1] == 'n')
            {
                text.Append('\n');
                i++;
            }
            else if (template[i] == '{')
            {
                var end = Closing(template, i);
                text.Append(Slot(template[(i + 1)..end], scope, dice));
                i = end;
            }
            else
            {
                text.Append(template[i]);
            }
        }
        return text.ToString();
    }

    private string Slot(string slot, Dictionary<string, Entry> scope, Dice dice)
    {
        if (slot.StartsWith('^')) return Upper(Slot(slot[1..], scope, dice));
        var choices = Alternatives(slot);
        if (choices.Count > 1) return Fill(dice.Pick(choices), scope, dice);
        if (slot.StartsWith("a ", StringComparison.Ordinal)) return WithArticle(Noun(slot[2..], scope, dice));
        if (slot.StartsWith("A ", StringComparison.Ordinal)) return Upper(WithArticle(Noun(slot[2..], scope, dice)));
        if (slot.StartsWith("s ", StringComparison.Ordinal)) return Plural(Noun(slot[2..], scope, dice));
        if (!slot.All(c => char.IsAsciiLetterLower(c) || c is '-' or '=' or '.')) return Fill(slot, scope, dice);

        var (name, field) = slot.Split('.') is [var n, var f] ? (n, f) : (slot, "");
        if (name.Split('=') is [var bound, var source])
        {
            if (!scope.ContainsKey(bound)) scope[bound] = Choose(source, scope, dice);
            name = bound;
        }
        if (!scope.TryGetValue(name, out var entry))
        {
            if (_groups.TryGetValue(name, out var group))
            {
                var block = (Block)dice.Pick(group.Items);
                Bind(block, scope, dice);
                return Text(block, scope, dice);
            }
            entry = Choose(name, scope, dice);
        }
        var index = field.Length == 0 ? 0 : Array.IndexOf(entry.Table.Fields, field);
        return index >= 0 ? entry.Values[index] : throw new FormatException($"no field in {{{slot}}}");
    }

    /// <summary>A name, maybe with adjectives in front: <c>{small|big} x</c>.</summary>
    private string Noun(string slot, Dictionary<string, Entry> scope, Dice dice)
    {
        var space = slot.LastIndexOf(' ');
        return Fill(slot[..(space + 1)], scope, dice) + Slot(slot[(space + 1)..], scope, dice);
    }

    public static string WithArticle(string noun) => ("aeiou".Contains(char.ToLowerInvariant(noun[0]), StringComparison.Ordinal) && !noun.StartsWith("uni", StringComparison.Ordinal) ? "an " : "a ") + noun;

    public static string Plural(string noun) => noun switch
    {
        [.., 'f', 'e'] => noun[..^2] + "ves",
        [.., not ('a' or 'e' or 'o' or 'u'), 'y'] => noun[..^1] + "ies",
        [.., 's' or 'x' or 'o'] or [.., 'c' or 's', 'h'] => noun + "es",
        _ => noun + "s",
    };

    public static string Upper(string text) => text.Length == 0 ? text : char.ToUpperInvariant(text[0]) + text[1..];

    private static int Closing(string text, int open)
    {
        var depth = 0;
        for (var i = open; i < text.Length; i++)
        {
            if (text[i] == '{') depth++;
            if (text[i] == '}' && --depth == 0) return i;
        }
        throw new FormatException($"a brace is not closed: {text}");
    }

    /// <summary>No space stands after a line break or a Chinese full stop.</summary>
    [GeneratedRegex(@"(?<=[\n。！？”]) ")]
    private static partial Regex Gaps();

    /// <summary>Splits at bars outside braces.</summary>
    private static List<string> Alternatives(string text)
    {
        var parts = new List<string>();
        var (depth, start) = (0, 0);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '{') depth++;
            else if (text[i] == '}') depth--;
            else if (text[i] == '|' && depth == 0)
            {
                parts.Add(text[start..i]);
                start = i + 1;
            }
        }
        parts.Add(text[start..]);
        return parts;
    }
}
