#include "sim/workload/trace_writer.hpp"
#include "tests/unit/traces.hpp"

namespace kvsim {
namespace {

std::string example(const std::string& format) {
  for (const auto& [name, text] : example_traces()) {
    if (name == format) return text;
  }
  return "";
}

TEST(Mooncake, EqualIdsAreEqualContentAndTheLastBlockIsTheRest) {
  const auto requests = read_text(example("mooncake")).requests;
  ASSERT_EQ(requests.size(), 2u);
  ASSERT_EQ(requests[0].prompt.size(), 3u);
  EXPECT_EQ(requests[0].prompt[2].length, 1100 - 1024);
  EXPECT_EQ(requests[0].prompt[1], requests[1].prompt[1]);
  EXPECT_NE(requests[0].prompt[2].stream, requests[1].prompt[2].stream);
  EXPECT_EQ(requests[1].arrival, Seconds(1.5));
  EXPECT_EQ(requests[1].id, 1);
}

TEST(Mooncake, APromptLongerThanItsIdsEndsInContentOfItsOwn) {
  const std::string line =
      R"({"timestamp": 0, "input_length": 600, "output_length": 5, "hash_ids": [4]})";
  const auto requests = read_text(line + "\n" + line).requests;
  ASSERT_EQ(requests[0].prompt.size(), 2u);
  EXPECT_EQ(requests[0].prompt[0], requests[1].prompt[0]);
  EXPECT_EQ(requests[0].prompt[1].length, 88);
  EXPECT_NE(requests[0].prompt[1].stream, requests[1].prompt[1].stream);
}

TEST(Mooncake, SessionsOfDynamosDialectWaitForTheirDelay) {
  const auto requests =
      read_text(R"({"session_id": "x", "created_time": 2000, "input_tokens": 10, )"
                R"("output_tokens": 5, "hash_ids": [1]})"
                "\n"
                R"({"session_id": "x", "delay": 800, "input_tokens": 20, "output_tokens": 5, )"
                R"("hash_ids": [1], "priority": 3})")
          .requests;
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].session, 0);
  EXPECT_EQ(requests[1].session, 0);
  EXPECT_EQ(requests[1].turn, 1);
  EXPECT_EQ(requests[1].think, Seconds(0.8));
  EXPECT_EQ(requests[1].arrival, Seconds(2));
  EXPECT_EQ(requests[1].priority, 3);
}

TEST(Mooncake, SmoothingSpreadsABatchOverTheTimeToTheNextOne) {
  std::string text;
  for (const int ms : {0, 0, 0, 3000, 9000, 9000})
    text += fmt::format("{{\"timestamp\": {}, \"input_length\": 1, \"output_length\": 1}}\n", ms);
  const auto requests = read_text(text, {{"smooth_batches_s", 3}}).requests;
  const std::vector<double> expected = {0, 1, 2, 3, 9, 10.5};
  ASSERT_EQ(requests.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_DOUBLE_EQ(requests[i].arrival.count(), expected[i]);
    EXPECT_EQ(requests[i].id, static_cast<std::int64_t>(i));
  }
}

TEST(Mooncake, AKeyThatIsNotKnownIsNamedOnce) {
  const std::string line = R"({"timestamp": 0, "input_length": 1, "output_length": 1, "mood": 1})";
  const auto trace = read_text(line + "\n" + line + "\n");
  ASSERT_EQ(trace.warnings.size(), 1u);
  EXPECT_NE(trace.warnings[0].find(":1: the key \"mood\" is not used"), std::string::npos);
}

TEST(Azure, TimesCountFromTheFirstRequest) {
  const auto requests = read_text(example("azure")).requests;
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].arrival, Seconds(0));
  EXPECT_NEAR(requests[1].arrival.count(), 4.314579, 1e-9);
  EXPECT_EQ(requests[1].input, Tokens(396));
  EXPECT_EQ(requests[1].output, Tokens(109));
  EXPECT_NE(requests[0].prompt[0].stream, requests[1].prompt[0].stream);
}

TEST(Azure, The2024FormOfATimeIsReadAcrossMidnight) {
  const auto requests = read_text(
                            "TIMESTAMP,ContextTokens,GeneratedTokens\n"
                            "2024-02-29 23:59:59.500000+00:00,1,1\n"
                            "2024-03-01 00:00:01+00:00,1,1")
                            .requests;
  EXPECT_DOUBLE_EQ(requests[1].arrival.count(), 1.5);
}

TEST(Azure, ATimeThatCannotBeIsRefused) {
  for (const char* time : {"9123-11-16 18:15:46", "2023-02-30 18:15:46", "2023-11-16 24:00:00",
                           "2023-11-16 18:15:46+02:00", "-123-11-16 18:15:46"}) {
    EXPECT_NE(complaint(fmt::format("TIMESTAMP,ContextTokens,GeneratedTokens\n{},1,1\n", time)), "")
        << time;
  }
}

TEST(BurstGpt, RequestsOfASessionAreItsTurns) {
  const auto requests = read_text(example("burstgpt")).requests;
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[0].session, requests[1].session);
  EXPECT_EQ(requests[1].turn, 1);
  EXPECT_EQ(requests[2].session, -1);
}

TEST(BurstGpt, FailuresAreDroppedAndCountedOrKept) {
  const std::string text =
      "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
      "5,ChatGPT,472,0,472,API log\n6,ChatGPT,10,3,13,API log\n";
  const auto dropped = read_text(text);
  ASSERT_EQ(dropped.requests.size(), 1u);
  ASSERT_EQ(dropped.warnings.size(), 1u);
  EXPECT_NE(dropped.warnings[0].find("1 failed requests dropped"), std::string::npos);
  EXPECT_EQ(read_text(text, {{"failures", "keep"}}).requests.size(), 2u);
}

TEST(Vidur, AFileOfLengthsArrivesAtZero) {
  const auto requests =
      read_text("num_prefill_tokens,num_decode_tokens,pd_ratio\n3772,54,69.8\n2015,156,12.9\n")
          .requests;
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[1].arrival, Seconds(0));
  EXPECT_EQ(requests[1].input, Tokens(2015));
}

TEST(LlmServingSim, LiteralTokensAreContentOfPromptsAndAnswers) {
  const auto requests = read_text(R"({"input_toks": 2, "output_toks": 1, "arrival_time_ns": 0, )"
                                  R"("input_tok_ids": [7, 7], "output_tok_ids": [9]})"
                                  "\n"
                                  R"({"input_toks": 3, "output_toks": 1, "arrival_time_ns": 0, )"
                                  R"("input_tok_ids": [7, 7, 9], "output_tok_ids": [1]})")
                            .requests;
  ASSERT_EQ(requests[1].prompt.size(), 3u);
  EXPECT_EQ(requests[0].prompt[0], requests[0].prompt[1]);
  EXPECT_EQ(requests[0].answer[0], requests[1].prompt[2]);
}

TEST(Columns, OptionsNameTheColumnsTheUnitAndSharedBeginnings) {
  const Json options = {{"arrival", "at_us"}, {"arrival_unit_s", 1e-6}, {"input", "in"},
                        {"output", "out"},    {"prefix_tokens", 4},     {"prefix_groups", 2}};
  const auto requests =
      read_text("in,at_us,out,other\n10,0,3,x\n3,500000,0,y\n8,2000000,1,z\n", options, "columns")
          .requests;
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[1].arrival, Seconds(0.5));
  EXPECT_EQ(requests[1].input, Tokens(3));   // shorter than the shared beginning
  EXPECT_EQ(requests[1].output, Tokens(1));  // 0 counts as 1
  ASSERT_EQ(requests[2].prompt.size(), 2u);
  EXPECT_EQ(requests[2].prompt[0], requests[0].prompt[0]);
  EXPECT_NE(requests[1].prompt[0].stream, requests[0].prompt[0].stream);
  EXPECT_NE(requests[2].prompt[1].stream, requests[0].prompt[1].stream);
}

TEST(Columns, AFailedRequestsLengthsMayBeSupposed) {
  const std::string text = "arrival_s,input_tokens,output_tokens\n0,0,0\n1,5,7\n";
  EXPECT_NE(complaint(text).find("a number of at least 1"), std::string::npos);
  const auto requests = read_text(text, {{"unknown_input", 9}, {"unknown_output", 4}}).requests;
  EXPECT_EQ(requests.at(0).input, Tokens(9));
  EXPECT_EQ(requests.at(0).output, Tokens(4));
  EXPECT_EQ(requests.at(1).output, Tokens(7));
}

TEST(Columns, JsonLinesAreReadByTheSameNamesAndTimesCountFromTheFirst) {
  const Json options = {{"arrival", "at"}, {"input", "in"}};
  const auto requests = read_text(R"({"at": 1e9, "in": 10, "output_tokens": 2, "x": "y"})"
                                  "\n"
                                  R"({"at": 1000000002.5, "in": 4, "output_tokens": 1})"
                                  "\n",
                                  options, "columns")
                            .requests;
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[1].arrival, Seconds(2.5));
  EXPECT_EQ(requests[1].input, Tokens(4));
}

TEST(LlmServingSim, ToolCallsAreTurnsThatRepeatTheirHistory) {
  const auto requests = read_text(example("llmservingsim")).requests;
  ASSERT_EQ(requests.size(), 3u);
  const Request& turn = requests[2];
  EXPECT_EQ(turn.session, 0);
  EXPECT_EQ(turn.turn, 1);
  EXPECT_TRUE(turn.last_turn);
  EXPECT_EQ(turn.think, Seconds(2));
  ASSERT_EQ(turn.prompt.size(), 3u);
  EXPECT_EQ(turn.prompt[0], requests[1].prompt[0]);
  EXPECT_EQ(turn.prompt[1], (ContentRun{requests[1].answer_stream, 0, 9}));
  EXPECT_EQ(turn.input, Tokens(150));
}

// The whole message for a bad line 2 after a good one.
std::string second_line(const std::string& found_and_allowed) {
  return "trace:2: " + found_and_allowed + " (1 requests were used before it)";
}

const std::string& good_json() {
  static const std::string line = R"({"timestamp": 5, "input_length": 1, "output_length": 1})"
                                  "\n";
  return line;
}

TEST(BadTrace, AFileOfNoFormatListsTheFormats) {
  const std::string allowed =
      "; allowed: a trace of the format azure, burstgpt, columns, kvsim, llmservingsim, mooncake, "
      "vidur";
  EXPECT_EQ(complaint("hello\n"), "trace:1: found \"hello\"" + allowed);
  EXPECT_EQ(complaint(""), "trace:1: found \"\"" + allowed);
}

TEST(BadTrace, ALineThatIsNoObjectSaysSo) {
  EXPECT_EQ(complaint(good_json() + "nonsense\n"),
            second_line("found \"nonsense\", which is not JSON; allowed: one JSON object a line"));
  EXPECT_EQ(complaint(good_json() + good_json().substr(0, 30)),
            second_line("found half a line at the end of the file: it is cut off; allowed: one "
                        "JSON object a line"));
  EXPECT_EQ(complaint(good_json() + "[1]\n"), second_line("found [1]; allowed: a JSON object"));
}

TEST(BadTrace, AKeyThatIsMissingOrWrongIsNamed) {
  const auto message = [](const std::string& line) { return complaint(good_json() + line); };
  EXPECT_EQ(message(R"({"timestamp": 6, "input_length": 1})"),
            second_line("found \"output_length\": nothing; allowed: a whole number of at least 1"));
  EXPECT_EQ(message(R"({"timestamp": 5, "input_length": "9", "output_length": 1})"),
            second_line("found \"input_length\": \"9\"; allowed: a whole number of at least 1"));
  EXPECT_EQ(message(R"({"timestamp": 5, "input_length": 9, "output_length": 0})"),
            second_line("found \"output_length\": 0; allowed: a whole number of at least 1"));
  EXPECT_EQ(
      message(R"({"timestamp": 5, "input_length": 512, "output_length": 1, "hash_ids": [1, 2]})"),
      second_line("found \"hash_ids\": 2 ids for 512 tokens; allowed: one for each 512 tokens"));
  EXPECT_EQ(message(R"({"timestamp": 5, "input_length": 5, "output_length": 1, "hash_ids": [-1]})"),
            second_line("found \"hash_ids\": -1; allowed: whole numbers of at least 0"));
}

TEST(BadTrace, ArrivalsThatGoBackAreNamed) {
  EXPECT_EQ(complaint(good_json() + R"({"timestamp": 4, "input_length": 1, "output_length": 1})"),
            second_line("found an arrival at 0.004 s after one at 0.005 s; allowed: arrivals that "
                        "never decrease"));
}

TEST(BadTrace, LiteralTokensMustBeAsManyAsTheLengthSays) {
  EXPECT_EQ(complaint(R"({"input_toks": 3, "output_toks": 2, "arrival_time_ns": 0, )"
                      R"("input_tok_ids": [7]})"),
            "trace:1: found content of 1 tokens for a prompt of 3; allowed: as many (0 requests "
            "were used before it)");
}

TEST(BadTrace, ACsvFieldIsNamedByItsColumn) {
  const std::string good = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,12,1\n";
  const auto message = [&](const std::string& line) {
    std::string text = complaint(good + line);
    EXPECT_TRUE(text.starts_with("trace:3: found ")) << text;
    return text.substr(0, text.find(" (1 requests were used before it)"));
  };
  EXPECT_EQ(message("yesterday,1,1\n"),
            "trace:3: found \"TIMESTAMP\": \"yesterday\"; allowed: UTC such as 2023-11-16 "
            "18:15:46.6805900");
  EXPECT_EQ(message("2023-11-16 18:15:46,1.5,1\n"),
            "trace:3: found \"ContextTokens\": \"1.5\"; allowed: a whole number of at least 1");
  EXPECT_EQ(message("2023-11-16 18:1"),
            "trace:3: found 1 fields at the end of the file: it is cut off; allowed: 3, as in the "
            "header");
}

TEST(BadTrace, ACsvFileNeedsItsColumnsAndARequest) {
  EXPECT_EQ(complaint("TIMESTAMP,ContextTokens\n"),
            "trace:1: found the columns TIMESTAMP, ContextTokens; allowed: a column "
            "\"GeneratedTokens\"");
  EXPECT_EQ(complaint("TIMESTAMP,ContextTokens,GeneratedTokens\n"),
            "trace:1: found no requests; allowed: at least one (0 requests were used before it)");
}

TEST(BadTrace, AFileThatIsNotThereIsNamed) {
  TraceSpec spec;
  spec.path = "/nowhere/trace.jsonl";
  try {
    static_cast<void>(open_trace(spec));
    FAIL();
  } catch (const TraceError& error) {
    EXPECT_STREQ(error.what(),
                 "/nowhere/trace.jsonl: found No such file or directory; allowed: a file that can "
                 "be read");
  }
}

TEST(BadTrace, AnUnknownFormatOrOptionIsAnErrorOfTheConfiguration) {
  TraceSpec spec;
  const TemporaryFile file("trace", example("azure"));
  spec.path = file.path();
  spec.config_file = "x.json";
  spec.config_path = "/workload";
  spec.format = "pcap";
  EXPECT_THROW(static_cast<void>(open_trace(spec)), ConfigError);
  spec.format = "mooncake";
  spec.options = {{"smooth", 3}};
  try {
    static_cast<void>(open_trace(spec));
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("/workload/options"), std::string::npos);
  }
}

}  // namespace
}  // namespace kvsim
