import { describe, expect, it } from 'vitest';
import { accept, both, completionAt, equals, literal, sameService, suggestions } from './filter';

describe('writing', () => {
  it.each([
    ['http-lb', 'http-lb'],
    ['http://a:9180/x', 'http://a:9180/x'],
    ['two words', '"two words"'],
    ['say "hi"', '"say \\"hi\\""'],
    ['and', '"and"'],
    ['', '""'],
  ])('%j as %s', (value, want) => expect(literal(value)).toBe(want));

  it('asks for a missing value by what does not match', () =>
    expect(equals('url', '')).toBe('not url ~ "."'));

  it('keeps alternatives together', () => {
    expect(both('a = 1 or b = 2', 'c = 3')).toBe('(a = 1 or b = 2) and c = 3');
    expect(both('', 'c = 3')).toBe('c = 3');
  });

  it('knows services by both spellings', () =>
    expect(sameService('clover_server1', 'clover-server1')).toBe(true));
});

describe('completion', () => {
  it.each([
    ['', 'field', '', ''],
    ['sta', 'field', '', 'sta'],
    ['status ', 'operator', 'status', ''],
    ['status >= ', 'value', 'status', ''],
    ['status >= 50', 'value', 'status', '50'],
    ['status >= 500 ', 'connective', 'status', ''],
    ['status >= 500 an', 'connective', 'status', 'an'],
    ['status >= 500 and ', 'field', 'status', ''],
    ['not (service = "http l', 'value', 'service', 'http l'],
    ['user-agent ~ ', 'value', 'user_agent', ''],
    ['status in (500, ', 'value', 'status', ''],
    ['status in (500, 503) ', 'connective', 'status', ''],
    ['status not in (', 'value', 'status', ''],
    ['tag["a.b"] = x ', 'connective', 'tag', ''],
    ['(a = 1) ', 'connective', 'a', ''],
    ['a = 1 && ', 'field', 'a', ''],
  ])('of %j expects a %s', (text, expects, field, prefix) => {
    const c = completionAt(text, text.length);
    expect([c.expects, c.expects === 'field' ? field : c.field, c.prefix]).toEqual([expects, field, prefix]);
  });

  it('suggests what fits', () => {
    const at = (text: string) => suggestions(completionAt(text, text.length));
    expect(at('dur')).toEqual(['duration']);
    expect(at('duration ')).toContain('>=');
    expect(at('service ')).toContain('~');
    expect(at('error = ')).toEqual(['true', 'false']);
    expect(at('status = 5')).toEqual(['5xx']);
  });

  it('puts a suggestion where the caret is', () => {
    const text = 'service = ht and status = 500';
    const c = completionAt(text, 12);
    expect(accept(text, c, 'http-lb')).toEqual({ text: 'service = http-lb and status = 500', caret: 18 });
    const open = completionAt('status ', 7);
    expect(accept('status ', open, 'in (').text).toBe('status in (');
    const spaced = completionAt('user_agent = ', 13);
    expect(accept('user_agent = ', spaced, 'a "b"').text).toBe('user_agent = "a \\"b\\"" ');
  });
});
