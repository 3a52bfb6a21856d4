// Package ids is a model of intrusion detection rules for Suricata, Snort 2
// and Snort 3: one tree for the three, which keeps what it does not know.
//
// [Parse] reads a rule file into a [Ruleset], whatever is wrong with it: each
// fault has its place and a rule that cannot be read costs only itself. What
// is not changed prints exactly as it came, comments, disabled rules and line
// ends too. A [Rule] is a plain value: change its fields, and only what has
// changed is written anew, in the style of the rest.
//
// The value of an [Option] is its text; [Option.Typed] decodes it when asked,
// and the types that it returns ([Content], [PCRE], [Flow], …) write it.
// [Rule.Matches] gives the patterns of a rule with their buffers and
// modifiers, the same for the three ways in which the dialects write them.
//
// [Lint] says what an engine would refuse, miss or do slowly, [Convert]
// translates and reports what it cannot, [Diff] compares two rule sets.
// [ParseVariables], [ParseFilters], [ParseClassifications] and
// [ParseReferences] read the files beside the rules. [ParseContract] builds a
// rule from the few fields that users of Clover know.
//
// Nothing here talks to an engine.
package ids
