using System.Text.Json;

namespace TokenMill.Recipe;

/// <summary>Conversations whose answer is worked out: numbers, order, counting, comparing, JSON.</summary>
public sealed class ComputedTasks(Grammar grammar)
{
    private static readonly string[] Small = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];

    private readonly IReadOnlyList<string[]> _children = grammar.Entries("child");
    private readonly IReadOnlyList<string[]> _animals = grammar.Entries("animal");
    private readonly IReadOnlyList<string[]> _foods = grammar.Entries("food");
    private readonly IReadOnlyList<string[]> _objects = grammar.Entries("object");
    private readonly IReadOnlyList<string[]> _towns = grammar.Entries("town");
    private readonly IReadOnlyList<string[]> _jobs = grammar.Entries("job");

    public Row Next(Dice dice) => dice.Roll(12) switch
    {
        0 or 1 => Sum(dice),
        2 => Difference(dice),
        3 => Product(dice),
        4 => WordProblem(dice),
        5 => Compare(dice),
        6 => Order(dice),
        7 => CountUp(dice),
        8 => ToJson(dice),
        9 => FromJson(dice),
        10 => ListOf(dice),
        _ => Letters(dice),
    };

    private static Row Sum(Dice dice)
    {
        var (a, b) = (dice.Between(0, 20), dice.Between(0, 20));
        return Row.Chat(
            dice.Pick([$"What is {a} plus {b}?", $"What is {a} + {b}?", $"{a} + {b} = ?", $"Calculate {a} + {b}.", $"How much is {a} and {b}?", $"Add {a} and {b}."]),
            dice.Pick([$"{a} plus {b} is {a + b}.", $"{a} + {b} = {a + b}"]));
    }

    private static Row Difference(Dice dice)
    {
        var (b, c) = (dice.Between(0, 12), dice.Between(0, 12));
        var a = b + c;
        return Row.Chat(
            dice.Pick([$"What is {a} minus {b}?", $"What is {a} - {b}?", $"{a} - {b} = ?", $"Calculate {a} - {b}.", $"Take {b} away from {a}."]),
            dice.Pick([$"{a} minus {b} is {c}.", $"{a} - {b} = {c}"]));
    }

    private static Row Product(Dice dice)
    {
        var (a, b) = (dice.Between(1, 10), dice.Between(1, 10));
        return Row.Chat(
            dice.Pick([$"What is {a} times {b}?", $"{a} * {b} = ?", $"Multiply {a} and {b}.", $"Calculate {a} times {b}."]),
            dice.Pick([$"{a} times {b} is {a * b}.", $"{a} * {b} = {a * b}"]));
    }

    private Row WordProblem(Dice dice)
    {
        var child = dice.Pick(_children);
        var thing = Grammar.Plural(dice.Pick(_foods)[0]);
        var (a, b) = (dice.Between(2, 10), dice.Between(1, 9));
        if (dice.OneIn(2) && a > b)
            return Row.Chat($"{child[0]} has {a} {thing} and {dice.Pick(["eats", "gives away", "loses"])} {b}. How many are left?", $"{a} - {b} = {a - b}. {Grammar.Upper(child[1])} has {a - b} left.");
        return Row.Chat($"{child[0]} has {a} {thing} and {dice.Pick(["gets", "buys", "finds"])} {b} more. How many {dice.Pick(["are there now", $"does {child[1]} have now"])}?", $"{a} + {b} = {a + b}. {Grammar.Upper(child[1])} has {a + b} {thing}.");
    }

    private static Row Compare(Dice dice)
    {
        var (a, b) = (dice.Between(1, 99), dice.Between(1, 99));
        if (a == b) b++;
        return dice.OneIn(2)
            ? Row.Chat(dice.Pick([$"Which number is bigger, {a} or {b}?", $"What is more, {a} or {b}?", $"Which is greater: {a} or {b}?"]), $"{Math.Max(a, b)} is bigger than {Math.Min(a, b)}.")
            : Row.Chat(dice.Pick([$"Which number is smaller, {a} or {b}?", $"What is less, {a} or {b}?"]), $"{Math.Min(a, b)} is smaller than {Math.Max(a, b)}.");
    }

    private Row Order(Dice dice)
    {
        if (dice.OneIn(2))
        {
            var numbers = dice.Draw([.. Enumerable.Range(1, 20)], dice.Between(3, 4));
            return Row.Chat(dice.Pick([$"Sort these numbers: {string.Join(", ", numbers)}", $"Put these numbers in order: {string.Join(", ", numbers)}", $"Order from small to large: {string.Join(", ", numbers)}"]), string.Join(", ", numbers.Order()));
        }
        var words = dice.Draw(_animals, 3).ConvertAll(a => a[0]);
        return Row.Chat(dice.Pick([$"Sort these words: {string.Join(", ", words)}", $"Put these words in alphabetical order: {string.Join(", ", words)}"]), string.Join(", ", words.Order(StringComparer.Ordinal)));
    }

    private static Row CountUp(Dice dice)
    {
        if (dice.OneIn(3))
        {
            var n = dice.Between(0, 12);
            return dice.OneIn(2)
                ? Row.Chat(dice.Pick([$"Write {n} as a word.", $"How do you write {n}?", $"Write the number {n} in words."]), Small[n])
                : Row.Chat(dice.Pick([$"Write {Small[n]} as a number.", $"Which number is {Small[n]}?"]), $"{n}");
        }
        if (dice.OneIn(2))
        {
            var n = dice.Between(1, 98);
            return dice.OneIn(2)
                ? Row.Chat(dice.Pick([$"What number comes after {n}?", $"Which number comes next after {n}?"]), $"After {n} comes {n + 1}.")
                : Row.Chat($"What number comes before {n}?", $"Before {n} comes {n - 1}.");
        }
        var (from, length, step) = (dice.Between(1, 10), dice.Between(4, 8), dice.Pick([1, 1, 1, 2, 5]));
        var to = from + (length - 1) * step;
        var all = string.Join(", ", Enumerable.Range(0, length).Select(i => from + i * step));
        return step == 1
            ? Row.Chat(dice.Pick([$"Count from {from} to {to}.", $"Please count from {from} to {to}."]), all)
            : Row.Chat($"Count from {from} to {to} in steps of {step}.", all);
    }

    private Row ToJson(Dice dice)
    {
        var (child, town, age) = (dice.Pick(_children)[0], dice.Pick(_towns)[0], dice.Between(5, 60));
        var text = dice.Pick([$"{child} is {age} years old and lives in {town}.", $"{child} lives in {town} and is {age} years old.", $"My name is {child}, I am {age} and I live in {town}."]);
        return Row.Chat(dice.Pick(["Write this as JSON: ", "Turn this into JSON: ", "Answer in JSON with name, age and town: "]) + text, Serialize(child, age, town));
    }

    private Row FromJson(Dice dice)
    {
        var (child, town, age) = (dice.Pick(_children)[0], dice.Pick(_towns)[0], dice.Between(5, 60));
        var json = Serialize(child, age, town);
        return dice.Roll(3) switch
        {
            0 => Row.Chat($"{dice.Pick(["What is the name?", "Who is it?"])} {json}", $"The name is {child}."),
            1 => Row.Chat($"{dice.Pick(["How old is the person?", "What is the age?"])} {json}", $"{child} is {age} years old."),
            _ => Row.Chat($"{dice.Pick(["Where does the person live?", "Which town is it?"])} {json}", $"{child} lives in {town}."),
        };
    }

    private static string Serialize(string name, int age, string town) =>
        $"{{\"name\": {JsonSerializer.Serialize(name)}, \"age\": {age}, \"town\": {JsonSerializer.Serialize(town)}}}";

    private Row ListOf(Dice dice)
    {
        var (kind, table) = dice.Pick<(string, IReadOnlyList<string[]>)>([("animals", _animals), ("things", _objects), ("jobs", _jobs), ("kinds of food", _foods), ("names", _children)]);
        var count = dice.Between(2, 5);
        var items = dice.Draw(table, count).ConvertAll(i => i[0]);
        var answer = dice.OneIn(2)
            ? string.Join('\n', items.Select((item, i) => $"{i + 1}. {item}"))
            : string.Join('\n', items.Select(item => $"- {item}"));
        return Row.Chat(dice.Pick([$"Make a list of {Small[count]} {kind}.", $"List {count} {kind}.", $"Write a list with {Small[count]} {kind}.", $"Give me {count} {kind} as a list."]), answer);
    }

    private Row Letters(Dice dice)
    {
        var word = dice.Pick(dice.Pick<IReadOnlyList<string[]>>([_animals, _foods, _objects]))[0];
        return dice.Roll(4) switch
        {
            0 => Row.Chat(dice.Pick([$"What is the first letter of {word}?", $"Which letter does {word} begin with?"]), $"The first letter of {word} is {word[0]}."),
            1 => Row.Chat(dice.Pick([$"Write {word} in capital letters.", $"Make this upper case: {word}"]), word.ToUpperInvariant()),
            2 => Row.Chat(dice.Pick([$"Spell {word}.", $"How do you spell {word}?", $"Spell the word {word}."]), string.Join('-', word.AsEnumerable())),
            _ => Row.Chat(dice.Pick([$"Repeat this word: {word}", $"Say {word}.", $"Repeat after me: {word}"]), word),
        };
    }
}
