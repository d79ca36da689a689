using System.Diagnostics;
using TokenMill.Shared.ChatTemplates;

namespace TokenMill.Shared.Tests.ChatTemplates;

/// <summary>Measured apart from the other tests, which would take its processor time.</summary>
[CollectionDefinition(nameof(HostileTemplates), DisableParallelization = true)]
public sealed class HostileTemplates;

[Collection(nameof(HostileTemplates))]
public sealed class HostileTemplateTests(ITestOutputHelper output)
{
    private const double MaxMilliseconds = 200;
    private const long MaxBytes = 64 << 20;

    private const string Grow = "{% for i in range(100000) %}";

    public static TheoryData<string, string> Bombs { get; } = new()
    {
        { "nested ranges", "{% for a in range(100000) %}{% for b in range(100000) %}{% for c in range(100000) %}{% endfor %}{% endfor %}{% endfor %}" },
        { "macro calls itself", "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}" },
        { "macro forks", "{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}" },
        { "call blocks recurse", "{% macro f() %}{{ caller() }}{% endmacro %}{% macro g() %}{% call f() %}{{ g() }}{% endcall %}{% endmacro %}{{ g() }}" },
        { "loop recurses", "{% for i in [[1]] recursive %}{{ loop([i]) }}{% endfor %}" },
        { "text doubles", "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}" },
        { "text times number", "{{ 'x' * 1000000000 }}" },
        { "text appended", "{% set ns = namespace(s='') %}" + Grow + "{% set ns.s = ns.s ~ 'xxxxxxxxxxxxxxxxxxxx' %}{% endfor %}" },
        { "replace grows", "{% set a = 'x' * 5000 %}{{ a|replace('x', a)|replace('x', a) }}" },
        { "padding", "{{ 'x'.ljust(1000000000) }}" },
        { "format width", "{{ '%999999999d' % 1 }}" },
        { "indent", "{{ [[1]]|tojson(indent=1000000000) }}" },
        { "much output", Grow + "{{ 'x' * 1000 }}{% endfor %}" },
        { "list doubles", "{% set ns = namespace(s=[1]) %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}" },
        { "shared parts printed", "{% set ns = namespace(s=(1,)) %}{% for i in range(100) %}{% set ns.s = (ns.s, ns.s) %}{% endfor %}{{ ns.s }}" },
        { "shared parts hashed", "{% set ns = namespace(s=(1,)) %}{% for i in range(100) %}{% set ns.s = (ns.s, ns.s) %}{% endfor %}{{ {ns.s: 1} }}" },
        { "shared parts as JSON", "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s|tojson }}" },
        { "deep value", "{% set ns = namespace(s=[1]) %}{% for i in range(30000) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s }}" },
        { "namespace in itself", "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}" },
        { "filters on filters", "{% set ns = namespace(g=[1]) %}" + Grow + "{% set ns.g = ns.g|map('string') %}{% endfor %}{{ ns.g|list }}" },
        { "huge power", "{{ 10 ** 100000000 }}" },
        { "number squared again", "{% set ns = namespace(n=3) %}{% for i in range(60) %}{% set ns.n = ns.n * ns.n %}{% endfor %}" },
        { "long text searched", "{% set s = 'a' * 500000 %}" + Grow + "{% set _ = s.find('aaaaab') %}{% endfor %}" },
        { "long text indexed", "{% set s = '😀' * 200000 %}" + Grow + "{{ s[-1] }}{% endfor %}" },
        { "wrapping", "{{ ('a' * 100000)|wordwrap(1) }}" },
        { "parentheses", "{{ " + new string('(', 50_000) + "1" + new string(')', 50_000) + " }}" },
        { "brackets", "{{ " + new string('[', 60_000) },
        { "not not", "{{ " + string.Concat(Enumerable.Repeat("not ", 30_000)) + "1 }}" },
        { "signs", "{{ " + new string('-', 100_000) + "1 }}" },
        { "sum of many", "{{ " + string.Join('+', Enumerable.Repeat("1", 50_000)) + " }}" },
        { "attributes", "{{ x" + string.Concat(Enumerable.Repeat(".a", 50_000)) + " }}" },
        { "filter chain", "{{ 1" + string.Concat(Enumerable.Repeat("|string", 15_000)) + " }}" },
        { "inline ifs", "{{ " + string.Concat(Enumerable.Repeat("1 if 1 else ", 10_000)) + "1 }}" },
        { "ifs", string.Concat(Enumerable.Repeat("{% if 1 %}", 12_000)) },
        { "64 MiB", new string('x', 64 << 20) },
    };

    [Theory]
    [MemberData(nameof(Bombs))]
    public void Bomb_IsRefusedWithinBudget(string name, string template)
    {
        Render("{{ 1 }}");
        var best = double.MaxValue;
        long bytes = 0;
        for (var attempt = 0; attempt < 3; attempt++)               // the machine may be busy: the quickest of three counts
        {
            var (before, watch) = (GC.GetAllocatedBytesForCurrentThread(), Stopwatch.StartNew());
            var refusal = Assert.Throws<TemplateException>(() => Render(template));
            best = Math.Min(best, watch.Elapsed.TotalMilliseconds);
            bytes = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.Equal(TemplateErrorKind.Budget, refusal.Kind);
        }
        output.WriteLine($"{name}: {best:0} ms, {bytes >> 20} MiB allocated in all");
        Assert.True(best < MaxMilliseconds, $"{name} took {best:0} ms");
        Assert.True(bytes < MaxBytes, $"{name} allocated {bytes:N0} bytes");
    }

    [Theory]
    [InlineData("{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", "template-budget")]
    [InlineData("{{ ''.__class__.__mro__[1].__subclasses__() }}", "template-unsafe")]
    [InlineData("{% if messages %}never closed", "template-syntax")]
    [InlineData("{{ messages + 1 }}", "template-error")]
    [InlineData("{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system message') }}{% endif %}{% endfor %}", null)]
    public void Check_NamesWhatIsWrong(string template, string? code) => Assert.Equal(code, ChatTemplateCheck.Check(template)?.Code);

    private static string Render(string template) => ChatTemplate.Parse(template).Render([], null, true, null, null);
}
