"""Questions and the parts that a person would answer one after the other; written before the grammar.

None of them is of an evaluation set. A part is as the asker put it, without "and", "tell me" and the like.
"""

LONG = {
    "What did we do on the trip, who was there, and when did we come back?": (
        "What did we do on the trip",
        "who was there",
        "when did we come back",
    ),
    "What did Anna cook and who helped her?": ("What did Anna cook", "who helped her"),
    "Where did I park, and how much did it cost?": (
        "Where did I park",
        "how much did it cost",
    ),
    "When did the boat leave and where was it going?": (
        "When did the boat leave",
        "where was it going",
    ),
    "Who came to the party? And what did they bring?": (
        "Who came to the party",
        "what did they bring",
    ),
    "What did the doctor say; when do I have to go again?": (
        "What did the doctor say",
        "when do I have to go again",
    ),
    "When and where did they meet?": ("When did they meet", "where did they meet"),
    "How and why did the engine stop?": ("How did the engine stop", "why did the engine stop"),
    "Where and with whom did Ben stay in Rome?": (
        "Where did Ben stay in Rome",
        "with whom did Ben stay in Rome",
    ),
    "Tell me what the teacher said and why she left early.": (
        "what the teacher said",
        "why she left early",
    ),
    "Tell me where we stayed and where we ate.": (
        "where we stayed",
        "where we ate",
    ),
    "What happened at the lake, and then where did we go?": (
        "What happened at the lake",
        "where did we go",
    ),
    "Who sang first and then who played the piano?": (
        "Who sang first",
        "who played the piano",
    ),
    "What colour is the door, and is there a bell?": (
        "What colour is the door",
        "is there a bell",
    ),
    "Did it rain on Sunday and did we go out?": (
        "Did it rain on Sunday",
        "did we go out",
    ),
    "Is the shop open on Mondays, and what does it sell?": (
        "Is the shop open on Mondays",
        "what does it sell",
    ),
    "What is written on the sign and in which language is it?": (
        "What is written on the sign",
        "in which language is it",
    ),
    "Which bus did we take, from where did it leave and how long did it take?": (
        "Which bus did we take",
        "from where did it leave",
        "how long did it take",
    ),
    "Summarise the week and tell which day it rained.": (
        "Summarise the week",
        "which day it rained",
    ),
    "Summarize yesterday, and tell me who called.": (
        "Summarize yesterday",
        "who called",
    ),
    "Give me a summary of last week and say when I met Clara.": (
        "Give me a summary of last week",
        "when I met Clara",
    ),
    "What happened on Tuesday, and who was at the meeting?": (
        "What happened on Tuesday",
        "who was at the meeting",
    ),
    "Compare what Anna and Ben said about the house.": (
        "what Anna said about the house",
        "what Ben said about the house",
    ),
    "Compare what Anna said about the flat with what Ben said about it.": (
        "what Anna said about the flat",
        "what Ben said about it",
    ),
    "What did Anna and Ben each say about the price?": (
        "What did Anna say about the price",
        "What did Ben say about the price",
    ),
    "What do Tom and Lisa both collect?": ("What does Tom collect", "What does Lisa collect"),
    "What instrument have Tom and Lisa both learnt?": (
        "What instrument has Tom learnt",
        "What instrument has Lisa learnt",
    ),
    "How do Anna and Ben differ about the garden?": (
        "What did Anna say about the garden",
        "What did Ben say about the garden",
    ),
    "What is the difference between the first flat and the second flat?": (
        "What about the first flat",
        "What about the second flat",
    ),
    "Compare the kitchen and the bathroom.": ("What about the kitchen", "What about the bathroom"),
    "Compare Anna's plan with Ben's plan for the garden.": (
        "What about Anna's plan for the garden",
        "What about Ben's plan for the garden",
    ),
    "Could you please tell me who wrote the letter and what it says?": (
        "who wrote the letter",
        "what it says",
    ),
    "Do you remember when we bought the car and how much we paid?": (
        "when we bought the car",
        "how much we paid",
    ),
    "Who is the woman in red, what is she holding and where is she standing?": (
        "Who is the woman in red",
        "what is she holding",
        "where is she standing",
    ),
    "What did Clara buy at the market? How much was it? Did she pay in cash?": (
        "What did Clara buy at the market",
        "How much was it",
        "Did she pay in cash",
    ),
    "List the guests and tell me what each of them brought.": (
        "List the guests",
        "what each of them brought",
    ),
    "Describe the room and say who is in it.": (
        "Describe the room",
        "who is in it",
    ),
    "How many people are in the picture, and what are they wearing?": (
        "How many people are in the picture",
        "what are they wearing",
    ),
    "What time does the train leave as well as which platform is it?": (
        "What time does the train leave",
        "which platform is it",
    ),
    "What happened before the storm, and who closed the windows?": (
        "What happened before the storm",
        "who closed the windows",
    ),
    "Why did Ben sell his car, and has he bought another?": (
        "Why did Ben sell his car",
        "has he bought another",
    ),
    "what did tom order and what did lisa order": (
        "what did tom order",
        "what did lisa order",
    ),
    "Where does Nora work, what does she do there, and since when has she had the job?": (
        "Where does Nora work",
        "what does she do there",
        "since when has she had the job",
    ),
    "In the first minute, what is said and who says it?": (
        "In the first minute, what is said",
        "who says it",
    ),
}

SINGLE = (
    "What did Anna and Ben say about the house?",
    "Who was at the party with Tom and Lisa?",
    "What did he say before he left and locked the door?",
    "What do Anna and Ben think about the garden?",
    "What came first, the cat or the dog?",
    "What colours are the shoes and the bag?",
    "Where are the knives and forks?",
    "What is black and white and red?",
    "Did Anna buy bread and milk?",
    "What did Anna, who lives next door, say?",
    "What is the name of the man who came and who left?",
    "Who did and who did not come?",
    "What do I do if and when it rains?",
    "How long did we sit and talk?",
    "When did Clara meet her sister and her brother?",
    "What did the teacher ask and tell the children?",
    "Does he know when and where it takes place?",
    "Which of the two is older, Tom or Lisa?",
    "What does the sign say about dogs?",
    "What happened after the rain and the storm?",
    'Who said "come and see what we did"?',
    "What happened?",
    "Is it red and blue?",
    "What was the score at the end of the first and the second half?",
    "Who sings and dances on the stage?",
    "How did Anna get up and down the hill?",
    "When was the tower built and opened?",
    "Where did I put the keys and what?",
    "Why did the dog bark and run away?",
    "What is there between the church and the bank?",
    "Summarise Monday and Tuesday.",
    "Tell me about Anna and what's-his-name.",
    "I was in town yesterday. What did I buy?",
    "How many cups and plates are on the table?",
    "Who won and by how much?",
    "Show me the house where we stayed.",
    "Which film did we watch when Tom was here and Lisa was away?",
    "Who is Tom and Lisa's favourite singer?",
    "What have Tom and his brother built together?",
    "What did the man say to the woman and what not?",
    "When did Clara fall off her bicycle and have a bad day?",
    "What towns in the U.S. has Ben seen?",
    "What is the thing that hangs on the wall and is his favourite picture?",
)
