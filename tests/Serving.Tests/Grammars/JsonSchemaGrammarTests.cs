using System.Text.Json.Nodes;
using TokenMill.Serving.Grammars;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Tests.Grammars;

public sealed class JsonSchemaGrammarTests
{
    [Theory]
    [InlineData("""{}""", """[1,"a",{"b":null}]|true|-0.5e3|"\u00e9\ud83d\ude00\n"|{ "a": [ ] }""", """01|"\ud800"|[1,]|{a:1}|nul|"a""")]
    [InlineData("""{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["a"]}""", """{"a":1}|{"a": 1, "b": "x"}""", """{}|{"b":"x"}|{"a":1,"c":2}|{"a":1,}|{"a":1.5}|{"b":"x","a":1}""")]
    [InlineData("""{"type":"object","properties":{"a":{},"b":{},"c":{}},"required":["b"],"additionalProperties":false}""", """{"b":1}|{"a":1,"b":2}|{"b":1,"c":1}|{"a":1,"b":2,"c":3}""", """{}|{"a":1}|{"a":1,"c":1}|{"b":1,"d":1}|{,"b":1}""")]
    [InlineData("""{"properties":{"ab":{"type":"null"},"b":{"type":"null"}},"additionalProperties":{"type":"integer"}}""", """{}|{"x":1}|{"ab":null,"a":1,"abc":2,"":3}|{"b":null,"ba":1}""", """{"ab":1}|{"b":2}|{"x":null}|{"\u0062":1}""")]
    [InlineData("""{"type":"object","additionalProperties":{"type":"boolean"}}""", """{}|{"x":true,"y":false}""", """{"x":1}""")]
    [InlineData("""{"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":3}""", """[1,2]|[1, 2, 3]""", """[]|[1]|[1,2,3,4]|[1,"a"]""")]
    [InlineData("""{"type":"array","items":false}""", """[]|[ ]""", """[1]""")]
    [InlineData("""{"type":"array","maxItems":0}""", """[]""", """[1]""")]
    [InlineData("""{"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}],"items":{"type":"null"},"minItems":1}""", """[1]|[1,"a"]|[1,"a",null,null]""", """[]|["a"]|[1,2]|[1,"a",3]""")]
    [InlineData("""{"enum":["red",1,null,{"a":[1]}]}""", """ "red"|1|null|{"a":[1]}""", """ "blue"|2|"1" """)]
    [InlineData("""{"const":"a\"\\\n"}""", """ "a\"\\\n" """, """ "a" """)]
    [InlineData("""{"type":["string","null"],"minLength":2,"maxLength":3}""", """ "ab"|"éé\n"|null|"\ud83d\ude00a" """, """ "a"|"abcd"|1""")]
    [InlineData("""{"type":"integer","minimum":-12,"maximum":105}""", """-12|-1|0|9|99|100|105""", """-13|106|1000|00|-0|1.0""")]
    [InlineData("""{"type":"integer","exclusiveMinimum":7,"exclusiveMaximum":9}""", """8""", """7|9|88""")]
    [InlineData("""{"type":"integer","minimum":1990}""", """1990|2000|19900|999999""", """1989|199|0|-1990""")]
    [InlineData("""{"type":"number","minimum":0,"maximum":1}""", """0|0.5|1|1.0""", """1.5|-0.5|2|-1""")]
    [InlineData("""{"type":"number","maximum":-2}""", """-2|-2.5|-31.4""", """-1.9|0|2""")]
    [InlineData("""{"type":"string","pattern":"^(ab|c)[0-9]{2,}-?\\w$"}""", """ "ab12-x"|"c999_" """, """ "ab1-x"|"c12-"|"xab12-x" """)]
    [InlineData("""{"type":"string","pattern":"b+"}""", """ "abc"|"b" """, """ "ac"|"" """)]
    [InlineData("""{"type":"string","pattern":"^\"\\\\[^a]*$"}""", """ "\"\\bc" """, """ "bc"|"\"\\a" """)]
    [InlineData("""{"type":"string","format":"date-time"}""", """ "2024-02-29T23:59:59Z"|"2024-12-01T00:00:00.5+01:00" """, """ "2024-13-01T00:00:00Z"|"2024-02-29" """)]
    [InlineData("""{"type":"string","format":"uuid"}""", """ "123e4567-e89b-12d3-a456-426614174000" """, """ "123e4567" """)]
    [InlineData("""{"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["v","next"]}}}""", """{"v":1,"next":{"v":2,"next":null}}""", """{"v":1,"next":{"v":2}}|{"v":1}""")]
    [InlineData("""{"type":"object","properties":{"c":{"type":"array","items":{"$ref":"#"}}}}""", """{"c":[{"c":[]},{}]}""", """{"c":[1]}""")]
    [InlineData("""{"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"b":{"type":"null"}},"required":["b"]}]}""", """{"a":1,"b":null}""", """{"a":1}|{"b":null}""")]
    [InlineData("""{"type":"object","properties":{"k":{"type":"string"}},"required":["k"],"oneOf":[{"properties":{"x":{"type":"integer"}},"required":["x"]},{"properties":{"y":{"type":"integer"}},"required":["y"]}]}""", """{"k":"a","x":1}|{"k":"a","y":1}""", """{"k":"a"}""")]
    public void Document_IsOfTheGrammar_WhereItIsOfTheSchema(string schema, string allowed, string refused)
    {
        var automaton = Automaton(schema);
        foreach (var text in allowed.Split('|')) Assert.True(GrammarTests.Accepts(automaton, text.Trim()), text);
        foreach (var text in refused.Split('|')) Assert.False(GrammarTests.Accepts(automaton, text.Trim()), text);
    }

    [Fact]
    public void Integers_RandomBounds_AreExact()
    {
        var random = new Random(5);
        for (var i = 0; i < 200; i++)
        {
            int Number() => random.Next(-3, 4) * (int)Math.Pow(10, random.Next(0, 4)) + random.Next(-12, 13);
            var (a, b) = (Number(), Number());
            var (low, high) = (Math.Min(a, b), Math.Max(a, b));
            var automaton = Automaton($$"""{"type":"integer","minimum":{{low}},"maximum":{{high}}}""");
            foreach (var n in Enumerable.Range(0, 60).Select(_ => Number()).Concat([low, high, low - 1, high + 1])) Assert.Equal(n >= low && n <= high, GrammarTests.Accepts(automaton, $"{n}"));
        }
    }

    [Theory]
    [InlineData("""{"type":"object","properties":{"x":{"type":"object","patternProperties":{"a":{}}}}}""", "s.properties.x.patternProperties", "unsupported-schema")]
    [InlineData("""{"type":"array","items":{"not":{"type":"null"}}}""", "s.items.not", "unsupported-schema")]
    [InlineData("""{"anyOf":[{"type":"string"},{"type":"number","multipleOf":3}]}""", "s.anyOf[1].multipleOf", "unsupported-schema")]
    [InlineData("""{"type":"string","format":"idn-email"}""", "s.format", "unsupported-schema")]
    [InlineData("""{"type":"string","pattern":"^(?=a)b$"}""", "s.pattern", "unsupported-schema")]
    [InlineData("""{"type":"text"}""", "s.type", "invalid-schema")]
    [InlineData("""{"$ref":"http://x/y"}""", "s.$ref", "unsupported-schema")]
    [InlineData("""{"$ref":"#/$defs/none"}""", "s.$ref", "invalid-schema")]
    [InlineData("""{"properties":{"a":false}}""", "s.properties.a", "invalid-schema")]
    [InlineData("""{"type":"array","minItems":3,"maxItems":2}""", "s.maxItems", "invalid-schema")]
    [InlineData("[]", "s", "invalid-schema")]
    [InlineData("""{"allOf":[{"$ref":"#"}],"anyOf":[{"$ref":"#"}],"type":"object"}""", null, "schema-too-large")]
    [InlineData("""{"type":"string","maxLength":2000000000}""", null, "grammar-too-large")]
    [InlineData("""{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}""", null, "grammar-left-recursive")]
    [InlineData("""{"type":"string","pattern":"^(a*)*$"}""", null, "grammar-left-recursive")]
    public void Schema_UnsupportedOrHostile_IsRefusedByItsPath(string schema, string? field, string code)
    {
        var error = Assert.Throws<RefusedException>(() => Automaton(schema)).Error;
        Assert.Equal(code, error.Code);
        if (field is not null) Assert.Equal(field, error.Field);
    }

    [Fact]
    public void Schema_DeepOrHuge_IsRefusedSoon()
    {
        JsonNode deep = new JsonObject();
        for (var i = 0; i < 150; i++) deep = new JsonObject { ["type"] = "array", ["items"] = deep };
        Assert.Equal("schema-too-large", Assert.Throws<RefusedException>(() => Automaton(deep.ToJsonString(new() { MaxDepth = 1_000 }))).Error.Code);

        var huge = new JsonObject(Enumerable.Range(0, 30_000).Select(i => KeyValuePair.Create($"p{i}", (JsonNode?)new JsonObject { ["type"] = "integer" })));
        Assert.Equal("schema-too-large", Assert.Throws<RefusedException>(() => Automaton(new JsonObject { ["properties"] = huge }.ToJsonString())).Error.Code);
    }

    private static GrammarAutomaton Automaton(string schema)
    {
        var rules = new GrammarRules();
        var root = JsonSchemaGrammar.AddTo(rules, JsonNode.Parse(schema, documentOptions: new() { MaxDepth = 1_000 }), "s");
        return new GrammarAutomaton(GrammarText.Parse(rules.Write(root)));
    }
}
